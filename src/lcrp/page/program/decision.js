/** One decision: where its evidence lies, and which concepts carried it. */

import { address, go, href, marks, toggleMark } from "./address.js";
import { index } from "./data.js";
import { h, own, percent } from "./dom.js";
import { conceptName, decisionById, decisionLayer, decisions, misses, shareIn, verdict } from "./model.js";
import { badge, crops, outsideBar, saving, shareBar } from "./parts.js";
import { mapRows, stage } from "./stage.js";
import { missView } from "./missed.js";
import { missing } from "./missing.js";

const LEAST_LAYER = 0.1; // of the decision: below, the layer tells little of it

export function decisionView() {
  const { path } = address();
  const number = decisionById.get(path[1]);
  const miss = misses.find((one) => one.id === path[1]);
  if (miss) return missView(miss);
  if (number === undefined) return missing(`There is no decision ${path[1] ?? ""} in this file.`);
  const decision = decisions[number];
  const facts = decision.facts;
  const layer = decisionLayer();
  const shown = stage(decision);
  const most = Math.max(...facts.concepts.map((/** @type {any} */ one) => Math.abs(one.share)));
  const { rows, fix } = mapRows(shown, layer, facts.concepts, (one, choose, name) => [
    h("div", { class: "line" }, choose, h("a", { class: "name", href: href(["concept", layer.name, one.concept], { class: facts.class }) }, own(name)),
      shareBar(one.share, most), h("span", { class: "number" }, percent(one.share)), outsideBar(one.outside)),
    crops(layer, one.concept, 6, facts.class_id),
  ]);
  const step = (/** @type {number} */ by) => {
    const next = decisions[number + by];
    if (next) go(href(["decision", next.id]));
  };
  const isMarked = marks().includes(decision.id);
  return {
    title: `${facts.class} ${facts.confidence.toFixed(2)}`,
    element: h("article", { class: "decision" },
      h("header", {},
        h("h1", { tabindex: "-1" }, own(facts.class), " ", h("span", { class: "number" }, facts.confidence.toFixed(2)), " ", badge(decision)),
        h("p", { class: "lead" }, h("strong", {}, percent(facts.outside)), ` of the positive relevance lies outside the ${facts.area === null ? "box" : "mask"}`, h("span", { class: "faint" }, ` (the outside is ${percent(facts.outside_area)} of the picture)`)),
        notes(decision)),
      h("div", { class: "columns" },
        shown.element,
        h("section", { "aria-labelledby": "carried" },
          h("h2", { id: "carried" }, "Concepts that carried it"),
          h("p", { class: "faint small" }, "Share of the relevance in ", own(layer.name), "; and how much of the concept's relevance lies outside. Point at a row, or press its number, to see where."),
          h("ol", { class: "carried" }, rows))),
      h("nav", { class: "actions", "aria-label": "this decision" },
        number > 0 ? h("a", { href: href(["decision", decisions[number - 1].id]) }, "← previous") : null,
        number < decisions.length - 1 ? h("a", { href: href(["decision", decisions[number + 1].id]) }, "next →") : null,
        h("button", { type: "button", "aria-pressed": String(isMarked), onclick: () => toggleMark(decision.id) }, isMarked ? "★ bookmarked" : "☆ bookmark"),
        h("a", { href: href(["compare"], { a: decision.id }) }, "compare with …")),
      more(decision),
      saving(`decision-${decision.id}`, () => ({ columns: ["concept", "name", "share", "outside"], rows: all(decision) }))),
    keys: { j: () => step(1), k: () => step(-1), o: shown.toggle, b: () => toggleMark(decision.id), c: () => go(href(["compare"], { a: decision.id })), digit: fix },
    up: href(["decisions"]),
  };
}

/** @param {any} decision */
function notes(decision) {
  const facts = decision.facts;
  const told = [];
  if (facts.layer_share !== null && facts.layer_share < LEAST_LAYER) told.push(`Only ${percent(facts.layer_share, 1)} of the decision passes through this layer: its concepts tell little of it. Other layers: stage.layers=[...].`);
  if (facts.against >= 2 / 3) told.push(`${percent(facts.against)} of the relevance speaks against the decision.`);
  const { alarm } = decision;
  if (alarm) told.push(`Why a false alarm, as stage=missed tells: ${alarm.kind}${alarm.class ? ` (beside a ${alarm.class}, IoU ${alarm.iou.toFixed(2)})` : ""}.`);
  const annotated = facts.annotated;
  if (annotated && !alarm && verdict(decision) !== "unlabelled") told.push(annotated.class ? `The annotation that overlaps most is ${annotated.class}, by an IoU of ${annotated.overlap.toFixed(2)}.` : "No annotated object overlaps it.");
  return told.length ? h("ul", { class: "notes" }, told.map((text) => h("li", {}, text))) : null;
}

/** Shares of the layer's concepts. @param {any} decision */
function all(decision) {
  const layer = decisionLayer();
  const outside = new Map(decision.facts.concepts.map((/** @type {any} */ one) => [one.concept, one.outside]));
  return Array.from({ length: layer.size }, (_, concept) => [concept, conceptName(layer, concept), shareIn(decision.number, concept), outside.get(concept) ?? null]).filter((row) => !Number.isNaN(row[2]));
}

/** @param {any} decision */
function more(decision) {
  const { facts } = decision;
  const ledger = facts.ledger;
  const ledgerText = ledger && `${percent(ledger.reached / ledger.seed)} of the relevance reached the picture, ${percent(ledger.constants / ledger.seed)} was taken by constants (biases above all).`;
  const others = facts.others.map((/** @type {any} */ one) => `${one.class} ${one.confidence.toFixed(2)}`).join(", ");
  const pairs = [
    ["picture", index.pictures[decision.picture].name],
    ["passes through the layer", facts.layer_share === null ? "not measured" : percent(facts.layer_share, 1)],
    ["shown concepts hold", `${percent(facts.coverage)} of the layer's relevance`],
    facts.box ? ["box in the photograph", facts.box.map((/** @type {number} */ edge) => edge.toFixed(0)).join(", ")] : ["pixels of the mask", facts.area],
    facts.runners_up.length ? ["came next", facts.runners_up.map((/** @type {any} */ one) => `${one.class} ${one.confidence.toFixed(2)}`).join(", ")] : null,
    others ? ["other decisions here", others] : null,
    ledgerText ? ["ledger", ledgerText] : null,
  ].filter((one) => one !== null);
  return h("details", { open: true }, h("summary", {}, "More numbers"), h("dl", {}, pairs.map(([name, value]) => [h("dt", {}, name), h("dd", {}, own(String(value)))])));
}
