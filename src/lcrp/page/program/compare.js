/** Two decisions side by side, and two statistics files: which concepts they share, and what differs first. */

import { address, changed, go, href } from "./address.js";
import { array, index } from "./data.js";
import { h, own, percent } from "./dom.js";
import { className, conceptName, decisionById, decisionLayer, decisions, layers, otherReferences, shareIn } from "./model.js";
import { conceptLink, cropRow, describe, saving, shareBar } from "./parts.js";
import { stage } from "./stage.js";

const LISTED = 14; // concepts; all of them are in the saved numbers

export function compareView() {
  const { params } = address();
  const [a, b] = ["a", "b"].map((name) => decisions[decisionById.get(params.get(name) ?? "") ?? -1]);
  const sides = [["a", a, "First"], ["b", b, "Second"]];
  const step = (/** @type {number} */ by) => {
    const next = decisions[Math.max(0, Math.min(decisions.length - 1, (b?.number ?? a?.number ?? -1) + by))];
    if (next) go(changed({ b: next.id }));
  };
  return {
    title: "Compare",
    element: h("div", { class: "compare" },
      h("h1", { tabindex: "-1" }, "Compare"),
      decisions.length ? null : h("p", {}, "No decision is explained in this file. To get them: ", h("code", {}, "lcrp stage=explore stage.num_decisions=24")),
      h("div", { class: "columns even" }, sides.map(([name, one, label]) => h("section", { "aria-label": `${label} decision` },
        h("label", {}, `${label} `, chooser(name, one)),
        one ? [stage(one, { isSmall: true }).element, h("p", {}, h("a", { href: href(["decision", one.id]) }, own(describe(one))))] : null))),
      a && b ? table(a, b) : h("p", { class: "faint" }, "Choose two decisions, or press c on the page of one."),
      index.other ? checkpoints() : h("p", { class: "faint" }, "Two checkpoints: make the page with both statistics files, ", h("code", {}, "stage.statistics=[A.h5,B.h5]"), ".")),
    keys: { j: () => step(1), k: () => step(-1) },
    up: a ? href(["decision", a.id]) : href(["decisions"]),
  };
}

/** Choose one of the decisions; they are listed once they are asked for, for there may be many. @param {string} name @param {any} one */
function chooser(name, one) {
  const option = (/** @type {any} */ other) => h("option", { value: other.id, selected: other === one }, `${other.facts.class} ${other.facts.confidence.toFixed(2)} — ${index.pictures[other.picture].name}`);
  const none = h("option", { value: "" }, "choose a decision");
  const select = h("select", { onchange: (/** @type {any} */ event) => go(changed({ [name]: event.target.value })) }, none, one ? option(one) : null);
  const fill = () => select.childElementCount < 3 && select.replaceChildren(none, ...decisions.map(option));
  for (const kind of ["focus", "pointerdown"]) select.addEventListener(kind, fill, { once: true });
  return select;
}

/** @param {any} a @param {any} b */
function table(a, b) {
  const layer = decisionLayer();
  const rows = Array.from({ length: layer.size }, (_, concept) => ({ concept, a: shareIn(a.number, concept), b: shareIn(b.number, concept) }))
    .filter((one) => !Number.isNaN(one.a) || !Number.isNaN(one.b))
    .sort((one, other) => Math.abs((other.a || 0) - (other.b || 0)) - Math.abs((one.a || 0) - (one.b || 0)));
  const most = Math.max(...rows.flatMap((one) => [Math.abs(one.a || 0), Math.abs(one.b || 0)]));
  const common = rows.reduce((sum, one) => sum + Math.max(0, Math.min(one.a || 0, one.b || 0)), 0);
  const cell = (/** @type {number} */ share, /** @type {string} */ label) => h("td", { "data-label": label }, Number.isNaN(share) ? h("span", { class: "faint" }, "not shown") : [shareBar(share, most), h("span", { class: "number" }, percent(share, 1))]);
  return h("section", { "aria-labelledby": "differs" },
    h("h2", { id: "differs" }, "What differs first"),
    h("p", { class: "faint" }, `Shares of the relevance in `, own(layer.name), `, by their difference. ${percent(common)} of it goes through the same concepts in both.`),
    h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "table of differences, scrolls sideways" }, h("table", { class: "differences" },
      h("thead", {}, h("tr", {}, ["concept", "first", "second", "difference"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, rows.slice(0, LISTED).map((one) => h("tr", {}, h("th", { scope: "row" }, conceptLink(layer, one.concept, { count: 3 })), cell(one.a, "first"), cell(one.b, "second"), h("td", { class: "number", "data-label": "difference" }, percent((one.a || 0) - (one.b || 0), 1))))))),
    saving("difference", () => ({ columns: ["concept", "name", "first", "second"], rows: rows.map((one) => [one.concept, conceptName(layer, one.concept), one.a, one.b]) })));
}

/** Another statistics file beside this one: concepts matched by their references, what differs first. */
function checkpoints() {
  const { other } = index;
  const layer = layers[other.layer];
  const [match, overlap, mean] = ["match", "overlap", "mean"].map((name) => array(`other.${name}`));
  const rows = layer.ranked(null).filter((concept) => layer.best(concept).share > 0).map((concept) => {
    const { row, classId, share } = layer.best(concept);
    return { concept, classId, share, match: match[concept], overlap: overlap[concept], other: match[concept] < 0 ? NaN : mean[row * other.num_concepts + match[concept]] };
  }).sort((one, two) => Math.abs(two.share - (two.other || 0)) - Math.abs(one.share - (one.other || 0)));
  const most = Math.max(...rows.flatMap((one) => [one.share, Math.abs(one.other || 0)]));
  const cell = (/** @type {number} */ share, /** @type {string} */ label) => h("td", { "data-label": label }, Number.isNaN(share) ? h("span", { class: "faint" }, "no such concept") : [shareBar(share, most), h("span", { class: "number" }, percent(share, 1))]);
  const same = rows.filter((one) => one.overlap >= 0.5).length;
  return h("section", { "aria-labelledby": "checkpoints" },
    h("h2", { id: "checkpoints" }, "Two checkpoints"),
    h("p", {}, "This file: ", own(index.title), ". The other: ", own(other.title), "."),
    h("p", { class: "faint" }, `Concepts of ${layer.name} are matched by the decisions that rank them highest (each once, the largest overlap first). ${same} of ${rows.length} share half of these or more. Shares are means for the class for which the concept counts most here.`),
    h("p", { class: "faint" }, "Pictures of the other's concepts are cut around their strongest neurons; to what these looked at where earlier figures left that beside the file."),
    h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "table of two checkpoints, scrolls sideways" }, h("table", { class: "differences" },
      h("thead", {}, h("tr", {}, ["concept", "class", "here", "there", "matched with", "overlap"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, rows.slice(0, LISTED).map((one) => h("tr", {}, h("th", { scope: "row" }, conceptLink(layer, one.concept, { count: 3 })), h("td", { "data-label": "class" }, own(className(one.classId))), cell(one.share, "here"), cell(one.other, "there"), h("td", { "data-label": "matched with" }, one.match < 0 ? "none" : [cropRow(`c${one.match} of the other`, otherReferences(one.match).slice(0, 3)), h("span", { class: "caption" }, `c${one.match}`)]), h("td", { class: "number", "data-label": "overlap" }, percent(one.overlap))))))),
    saving("checkpoints", () => ({ columns: ["concept", "class", "here", "there", "matched_with", "overlap"], rows: rows.map((one) => [one.concept, className(one.classId), one.share, one.other, one.match, one.overlap]) })));
}
