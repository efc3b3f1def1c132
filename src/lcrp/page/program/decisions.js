/** All explained decisions: filters as chips, kept in the address. */

import { address, href, marks } from "./address.js";
import { index } from "./data.js";
import { counted, h, own, percent, pictures } from "./dom.js";
import { virtualList } from "./list.js";
import { conceptName, decisionLayer, decisions, misses, shareIn, verdict } from "./model.js";
import { decisionCard, filterChip, saving, selection } from "./parts.js";

const ORDERS = {
  order: ["in order", () => 0],
  outside: ["most evidence outside", (/** @type {any} */ a, /** @type {any} */ b) => b.facts.outside - a.facts.outside],
  inside: ["least evidence outside", (/** @type {any} */ a, /** @type {any} */ b) => a.facts.outside - b.facts.outside],
  confidence: ["most confident", (/** @type {any} */ a, /** @type {any} */ b) => b.facts.confidence - a.facts.confidence],
  doubtful: ["least confident", (/** @type {any} */ a, /** @type {any} */ b) => a.facts.confidence - b.facts.confidence],
  iou: ["least overlap with the annotation", (/** @type {any} */ a, /** @type {any} */ b) => overlap(a) - overlap(b)],
};
const VERDICTS = ["hit", "false alarm", "missed", "unlabelled"];
/** Kinds of a verdict, each by its parameter. @type {Record<string, [string, (one: any) => string | undefined]>} */
const KINDS = { "false alarm": ["kind", (one) => one.alarm?.kind], missed: ["mechanism", (one) => one.missed?.mechanism] };

const overlap = (/** @type {any} */ one) => one.facts.annotated?.overlap ?? 0;

/** Decisions, then misses. */
const everything = () => [...decisions, ...misses];

/** The decisions and misses that the filters of an address let through, in its order. @param {URLSearchParams} params */
export function chosen(params) {
  const [wanted, said, concept] = ["class", "verdict", "concept"].map((name) => params.get(name));
  const [low, high, least, iou] = ["confidence", "below", "outside", "iou"].map((name) => (params.has(name) ? Number(params.get(name)) : NaN));
  const known = marks();
  const found = everything().filter(
    (one) =>
      (!wanted || one.facts.class === wanted) &&
      (!said || verdict(one) === said) &&
      Object.values(KINDS).every(([name, kind]) => !params.get(name) || kind(one) === params.get(name)) &&
      !(one.facts.confidence < low) && !(one.facts.confidence >= high) && !(one.facts.outside < least) && !(overlap(one) < iou) &&
      (!params.has("marked") || known.includes(one.id)) &&
      (!concept || (!one.missed && shareIn(one.number, Number(concept)) > 0)),
  );
  if (concept && !params.has("sort")) return found.sort((a, b) => shareIn(b.number, Number(concept)) - shareIn(a.number, Number(concept)));
  return found.sort((ORDERS[params.get("sort") ?? "order"] ?? ORDERS.order)[1]);
}

export function decisionsView() {
  const { params } = address();
  const found = chosen(params);
  const all = everything();
  const concept = params.get("concept");
  const layer = decisionLayer();
  const height = innerWidth < 560 ? 146 : 132;
  const list = virtualList(found, (one) => decisionCard(one, concept ? h("span", {}, `${conceptName(layer, Number(concept))}: ${percent(shareIn(one.number, Number(concept)), 1)} of the relevance`) : null), { height, width: 360, label: "decisions" });
  let place = -1;
  const step = (/** @type {number} */ by) => {
    if (!found.length) return;
    place = Math.max(0, Math.min(found.length - 1, place + by));
    list.focus(place);
  };
  return {
    title: "Decisions",
    element: h("div", {},
      h("h1", { tabindex: "-1" }, "Decisions"),
      filters(params),
      h("p", { role: "status" }, found.length === all.length ? "" : `${found.length} ${misses.length ? "shown " : ""}of `, counted(decisions.length, "decision"), misses.length ? ` and ${misses.length === 1 ? "1 miss" : `${misses.length} misses`}` : "",
        index.pictures.length ? ` about ${pictures(new Set(index.pictures.map((/** @type {any} */ one, /** @type {number} */ at) => one.photograph ?? at)).size, index.pictures.length)}` : ""),
      found.length ? list.element : h("p", {}, all.length ? "Nothing is left by these filters. " : "No decision is explained in this file. To get them: ", all.length ? h("a", { href: href(["decisions"]) }, "Show all") : h("code", {}, "lcrp stage=explore stage.num_decisions=24")),
      saving("decisions", () => table(found))),
    shown: list.update,
    leave: list.leave,
    all: list.all,
    keys: { j: () => step(1), k: () => step(-1) },
  };
}

/** @param {any[]} some */
function table(some) {
  return {
    columns: ["id", "picture", "class", "item", "confidence", "verdict", "kind", "iou", "outside", "outside_area", "left", "top", "right", "bottom", "concepts"],
    rows: some.map((one) => [one.id, index.pictures[one.picture].name, one.facts.class, one.facts.item, one.facts.confidence, verdict(one), one.alarm?.kind ?? one.missed?.mechanism ?? null, one.facts.annotated?.overlap ?? null, one.facts.outside, one.facts.outside_area, ...(one.facts.box ?? [null, null, null, null]), one.facts.concepts.map((/** @type {any} */ part) => `${part.concept}:${part.share}`).join(" ")]),
  };
}

/** @param {URLSearchParams} params */
function filters(params) {
  const all = everything();
  const classes = [...new Set(all.map((one) => one.facts.class))];
  const chips = [];
  const chip = (/** @type {string} */ name, /** @type {string | null} */ value, /** @type {any} */ text, gone = {}) => chips.push(filterChip(params, name, value, text, gone));
  for (const one of VERDICTS) if (all.some((decision) => verdict(decision) === one)) chip("verdict", one, { unlabelled: "not annotated", missed: "misses" }[one] ?? one, { kind: null, mechanism: null });
  for (const [said, [name, kind]] of Object.entries(KINDS)) if (params.has(name) || params.get("verdict") === said) for (const one of new Set(all.map(kind))) if (one) chip(name, one, one);
  if (classes.length <= 12) for (const name of classes) chip("class", name, own(name));
  chip("below", "0.5", "confidence below 0.5");
  chip("outside", "0.5", "half or more of the evidence outside");
  if (marks().length) chip("marked", "true", "with a bookmark");
  if (params.get("concept")) chip("concept", params.get("concept"), conceptName(decisionLayer(), Number(params.get("concept"))));
  for (const [name, words] of [["confidence", "confidence from"], ["iou", "overlap from"]]) if (params.has(name)) chip(name, params.get(name), `${words} ${params.get(name)}`);
  return h("div", { class: "filters", role: "group", "aria-label": "filters" },
    h("div", { class: "chips" }, chips),
    classes.length > 12 ? selection(params, "class", "Class", [["", "all"], ...classes.map((name) => /** @type {[string, string]} */ ([name, name]))]) : null,
    selection(params, "sort", "Sorted by", Object.entries(ORDERS).map(([name, [text]]) => [name === "order" ? "" : name, /** @type {string} */ (text)])));
}
