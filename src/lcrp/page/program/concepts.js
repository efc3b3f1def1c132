/** All concepts of a layer: sorted and filtered, all of it kept in the address. */

import { address, changed, go, href, named } from "./address.js";
import { index } from "./data.js";
import { counted, h, own, percent } from "./dom.js";
import { virtualList } from "./list.js";
import { className, conceptName, decisionLayer, layers, outsideOfConcepts } from "./model.js";
import { crops, filterChip, outsideBar, saving, selection } from "./parts.js";

/** @typedef {{concept: number, classId: number, share: number, context: number, low: number, high: number, count: number, name: string, label: string}} Row a label is the name, else the one that is proposed, else the number */

const isNumber = (/** @type {Row} */ one) => one.label === `c${one.concept}`;
const ORDERS = {
  share: ["largest share", (/** @type {Row} */ a, /** @type {Row} */ b) => b.share - a.share],
  context: ["most on the context", (/** @type {Row} */ a, /** @type {Row} */ b) => (b.context || -1) - (a.context || -1)],
  object: ["least on the context", (/** @type {Row} */ a, /** @type {Row} */ b) => (Number.isNaN(a.context) ? 2 : a.context) - (Number.isNaN(b.context) ? 2 : b.context)],
  decisions: ["most explained decisions", (/** @type {Row} */ a, /** @type {Row} */ b) => b.count - a.count],
  name: ["name", (/** @type {Row} */ a, /** @type {Row} */ b) => Number(isNumber(a)) - Number(isNumber(b)) || (isNumber(a) ? 0 : a.label.localeCompare(b.label))],
  number: ["number", () => 0],
};
const SLIGHT = 0.01; // of a class's relevance

/** Concepts of a layer, for a class or each for that in which it counts most. @param {import("./model.js").Layer} layer @param {number} row of the class; -1 for none @returns {Row[]} */
function rowsOf(layer, row) {
  const scores = new Map(layer.context().map((one) => [`${one.concept}.${one.classId}`, one]));
  const decided = new Map(layer === decisionLayer() ? outsideOfConcepts().map((one) => [one.concept, one]) : []);
  return Array.from({ length: layer.size }, (_, concept) => {
    const best = row < 0 ? layer.best(concept) : { classId: layer.classIds[row], share: layer.share(row, concept) };
    const score = scores.get(`${concept}.${best.classId}`);
    const found = decided.get(concept);
    const context = scores.size ? (score?.context ?? NaN) : (found?.outside ?? NaN);
    return { concept, classId: best.classId, share: best.share, context, low: score?.low ?? NaN, high: score?.high ?? NaN, count: found?.count ?? 0, name: named(layer, concept), label: conceptName(layer, concept) };
  });
}

/** The concepts that the filters of an address let through, in its order. @param {Row[]} rows @param {URLSearchParams} params */
function chosen(rows, params) {
  const least = { share: Number(params.get("share") ?? NaN), context: Number(params.get("context") ?? NaN) };
  const found = rows.filter((one) => !(params.has("share") && !(one.share >= least.share)) && !(params.has("context") && !(one.context >= least.context)) && !(params.has("named") && !one.name) && !(params.has("shown") && !one.count));
  const order = Object.hasOwn(ORDERS, params.get("sort") ?? "") ? ORDERS[/** @type {keyof typeof ORDERS} */ (params.get("sort"))] : ORDERS.share;
  return found.sort((a, b) => /** @type {any} */ (order[1])(a, b) || a.concept - b.concept);
}

export function conceptsView() {
  const { params } = address();
  const layer = layers.find((one) => one.name === params.get("layer")) ?? decisionLayer();
  const wanted = params.get("class");
  const row = wanted === null ? -1 : layer.classIds.indexOf(index.classes.indexOf(wanted));
  const rows = rowsOf(layer, row);
  const found = chosen(rows, params);
  const list = virtualList(found, (one) => card(layer, one, row), { height: innerWidth < 560 ? 150 : 142, width: 330, label: "concepts" });
  let place = -1;
  const step = (/** @type {number} */ by) => {
    if (!found.length) return;
    place = Math.max(0, Math.min(found.length - 1, place + by));
    list.focus(place);
  };
  const toLayer = (/** @type {number} */ by) => layers[layer.number + by] && go(changed({ layer: layers[layer.number + by].name }));
  return {
    title: "Concepts",
    element: h("div", {},
      h("h1", { tabindex: "-1" }, "Concepts"),
      filters(layer, params, rows),
      h("p", { role: "status" }, found.length === rows.length ? counted(rows.length, "concept") : `${found.length} of ${counted(rows.length, "concept")}`, " of ", own(layer.name),
        ". Share: mean part of the layer's relevance ", row < 0 ? "for the class for which it counts most" : "for the class", "; ",
        layer.context().length ? "its relevance " : "its relevance in explained decisions ", h("span", { class: "key out" }, "outside"), h("span", { class: "key" }, "on the object"),
        layer.proposed ? h("span", { class: "faint" }, "A name with ? is proposed, not given.") : null),
      found.length ? list.element : h("p", {}, "No concept is left by these filters. ", h("a", { href: href(["concepts"]) }, "Show all")),
      saving("concepts", () => ({ columns: ["concept", "name", "class", "share", "context", "low", "high", "explained_decisions"], rows: found.map((one) => [one.concept, one.name, className(one.classId), one.share, one.context, one.low, one.high, one.count]) }))),
    shown: list.update,
    leave: list.leave,
    all: list.all,
    keys: { j: () => step(1), k: () => step(-1), l: () => toLayer(1), h: () => toLayer(-1) },
  };
}

/** @param {import("./model.js").Layer} layer @param {Row} one @param {number} row */
function card(layer, one, row) {
  const limits = Number.isNaN(one.low + one.high) ? {} : { low: one.low, high: one.high };
  return h("a", { class: "concept-card", href: href(["concept", layer.name, one.concept], { class: row < 0 ? null : className(one.classId) }) },
    crops(layer, one.concept, 4, row < 0 ? null : one.classId),
    h("span", { class: "first" }, h("strong", {}, own(conceptName(layer, one.concept))),
      one.share > 0 ? h("span", { class: "faint cut" }, h("span", { class: "number" }, percent(one.share, 1)), " for ", own(className(one.classId))) : h("span", { class: "faint" }, "counts for no class")),
    h("span", { class: "line" }, Number.isNaN(one.context) ? h("span", { class: "faint" }, layer.context().length ? "context not measured" : "in no explained decision") : outsideBar(one.context, limits),
      one.count ? h("span", { class: "faint number" }, counted(one.count, "decision")) : null));
}

/** @param {import("./model.js").Layer} layer @param {URLSearchParams} params @param {Row[]} rows */
function filters(layer, params, rows) {
  const classes = layer.classIds.map(className);
  const chips = classes.length <= 12 ? classes.map((name) => filterChip(params, "class", name, own(name))) : [];
  chips.push(filterChip(params, "share", String(SLIGHT), "1 % of the relevance or more"), filterChip(params, "context", "0.5", "half or more on the context"));
  if (rows.some((one) => one.name)) chips.push(filterChip(params, "named", "true", "with a name"));
  if (rows.some((one) => one.count)) chips.push(filterChip(params, "shown", "true", "in explained decisions"));
  return h("div", { class: "filters", role: "group", "aria-label": "filters" },
    h("div", { class: "chips" }, chips),
    layers.length > 1 ? selection(params, "layer", "Layer", layers.map((one) => [one === decisionLayer() ? "" : one.name, one.name])) : null,
    classes.length > 12 ? selection(params, "class", "Class", [["", "all"], ...classes.map((name) => /** @type {[string, string]} */ ([name, name]))]) : null,
    selection(params, "sort", "Sorted by", Object.entries(ORDERS).map(([name, [text]]) => [name === "share" ? "" : name, /** @type {string} */ (text)])));
}
