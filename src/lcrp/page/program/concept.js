/** One concept: what it looks like, for which classes it counts, where it lies, and which decisions use it. */

import { address, changed, go, href, named, rename } from "./address.js";
import { index } from "./data.js";
import { counted, h, own, percent, svg } from "./dom.js";
import { missing } from "./missing.js";
import { className, conceptName, decisionById, decisionLayer, decisions, layers, outsideOfConcepts, shareIn, tableRows } from "./model.js";
import { boxedCrop, conceptLink, decisionCard, outsideBar, saving } from "./parts.js";

export function conceptView() {
  const { path, params } = address();
  const layer = layers.find((one) => one.name === path[1]);
  const concept = Number(path[2]);
  if (!layer || !(Number.isInteger(concept) && concept >= 0 && concept < layer.size)) return missing(`There is no concept ${path[2] ?? ""} of layer ${path[1] ?? ""} in this file.`);
  const wanted = params.get("class");
  const classId = wanted === null ? null : index.classes.indexOf(wanted);
  const row = classId === null ? -1 : layer.classIds.indexOf(classId);
  const order = layer.ranked(row < 0 ? null : row);
  const place = order.indexOf(concept);
  const step = (/** @type {number} */ by) => order[place + by] !== undefined && go(href(["concept", layer.name, order[place + by]], { class: wanted }));
  const toLayer = (/** @type {number} */ by) => {
    const other = layers[layer.number + by];
    if (other) go(href(["concept", other.name, other.ranked(row < 0 ? null : row)[0]], { class: wanted }));
  };
  const best = layer.best(concept);
  return {
    title: conceptName(layer, concept),
    element: h("article", { class: "concept" },
      h("header", {},
        h("h1", { tabindex: "-1" }, own(conceptName(layer, concept))),
        h("p", { class: "faint" }, `concept ${concept} of ${layer.size} in `, own(layer.name), ` · place ${place + 1} by share${row >= 0 ? " for " : ""}`, row >= 0 ? own(/** @type {string} */ (wanted)) : null),
        best.share > 0 ? h("p", { class: "lead" }, "Counts most for ", own(className(best.classId)), ": on average ", h("strong", {}, percent(best.share, 1)), " of the layer's relevance.") : null,
        proposal(layer, concept),
        naming(layer, concept)),
      references(layer, concept, classId),
      h("div", { class: "columns even" }, perClass(layer, concept), where(layer, concept)),
      inDecisions(layer, concept),
      alike(layer, concept),
      without(layer, concept),
      h("nav", { class: "actions", "aria-label": "concepts" },
        place > 0 ? h("a", { href: href(["concept", layer.name, order[place - 1]], { class: wanted }) }, "← counts more") : null,
        place < order.length - 1 ? h("a", { href: href(["concept", layer.name, order[place + 1]], { class: wanted }) }, "counts less →") : null),
      saving(`concept-${concept}`, () => ({ columns: ["class", "class_id", "decisions", "mean_share", "deviation"], rows: layer.classIds.map((id, at) => [className(id), id, layer.count[at], layer.share(at, concept), layer.deviation[at * layer.size + concept]]) }))),
    keys: { j: () => step(1), k: () => step(-1), l: () => toLayer(1), h: () => toLayer(-1), digit: (/** @type {number} */ at) => layer.alike(concept)[at - 1] && go(href(["concept", layer.name, layer.alike(concept)[at - 1].concept])) },
    up: href(["concepts"], { layer: layer === decisionLayer() ? null : layer.name, class: wanted }),
  };
}

/** The name that is proposed, to be accepted. @param {import("./model.js").Layer} layer @param {number} concept */
function proposal(layer, concept) {
  const found = layer.proposal(concept);
  if (!found || named(layer, concept)) return null;
  const score = Number.isNaN(found.auroc) ? "too little was seen of it" : `AUROC ${found.auroc.toFixed(2)} (${found.low.toFixed(2)} to ${found.high.toFixed(2)})`;
  const decisions = counted(layer.proposed?.decisions ?? 0, "decision");
  const title = "How much of its relevance rests on what is annotated. AUROC: the chance that it counts more in a decision with the named thing than in one without; 95 % interval.";
  if (!found.fits) return h("p", { class: "proposal", title }, "No name fits", found.name ? [" (nearest: ", own(found.name), `, ${score})`] : "", h("span", { class: "faint" }, ` of what is annotated, over ${decisions}.`));
  return h("p", { class: "proposal", title }, "Proposed name: ", h("strong", {}, own(found.name)), `, ${score} `, h("span", { class: "faint" }, `over ${decisions} `),
    h("button", { type: "button", onclick: () => rename(layer, concept, found.name) }, "Accept"));
}

/** @param {import("./model.js").Layer} layer @param {number} concept */
function naming(layer, concept) {
  const field = h("input", { id: "name", type: "text", value: named(layer, concept), maxlength: 80, placeholder: "sail, water, wheel …", autocomplete: "off" });
  return h("form", { class: "naming", onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); rename(layer, concept, field.value); } },
    h("label", { for: "name" }, "Your name for it"), field, h("button", {}, "Keep"));
}

/** @param {import("./model.js").Layer} layer @param {number} concept @param {number | null} classId */
function references(layer, concept, classId) {
  const all = layer.references(concept);
  const lists = layer.ownClasses(concept);
  const classes = [...new Set([...lists.keys(), ...all.map((one) => one.classId)])].sort((a, b) => layer.share(layer.classIds.indexOf(b), concept) - layer.share(layer.classIds.indexOf(a), concept));
  const count = (/** @type {number | null} */ id) => (id === null ? all : layer.referencesOfClass(concept, id)).length;
  const some = classId === null ? all : layer.referencesOfClass(concept, classId);
  const told = classId === null ? "The samples in which it counts most"
    : lists.has(classId) ? "The samples of this class in which it counts most"
    : "Of the samples in which it counts most, those of this class";
  const chip = (/** @type {number | null} */ id) => {
    const isOn = classId === id;
    return h("a", { class: "chip", "aria-current": isOn ? "true" : null, href: changed({ class: id === null ? null : className(id) }) }, id === null ? "all" : own(className(id)), h("span", { class: "number" }, ` ${count(id)}`));
  };
  return h("section", { "aria-labelledby": "references" },
    h("h2", { id: "references" }, "What it looks like"),
    all.length
      ? [h("p", { class: "faint" }, told, ", cut to what its strongest neuron looked at; dark is what that neuron did not use, yellow the decision's box where it crosses the crop."),
         h("div", { class: "chips" }, [null, ...classes].map(chip)),
         some.length ? h("ul", { class: "references" }, some.map((one) => h("li", {}, boxedCrop(conceptName(layer, concept), one), h("span", { class: "caption" }, own(className(one.classId)), h("span", { class: "number" }, percent(one.score)))))) : h("p", {}, "None of its first samples is of this class."),
         classId === null || lists.has(classId) ? null : h("p", { class: "faint small" }, "Its own samples of this class are not in this file: it is not among the concepts that count most for the class. To get them: ", h("code", {}, `stage.n_concepts_per_class=${layer.size} stage.n_references_per_class=4`))]
      : h("p", {}, "Its samples are not in this file: it is not among the concepts that count most for any class. To get them: ", h("code", {}, `stage.n_concepts_per_class=${layer.size}`)));
}

/** Mean share per class, with its spread. @param {import("./model.js").Layer} layer @param {number} concept */
function perClass(layer, concept) {
  const spread = layer.get("spread");
  const rows = layer.classIds.map((id, at) => {
    const mean = layer.share(at, concept);
    const deviation = layer.deviation[at * layer.size + concept];
    const quantiles = spread ? [...spread.subarray((at * layer.size + concept) * 5, (at * layer.size + concept) * 5 + 5)] : [mean - deviation, mean - deviation, mean, mean + deviation, mean + deviation];
    return { id, at, mean, quantiles };
  }).filter((one) => !Number.isNaN(one.mean)).sort((a, b) => b.mean - a.mean);
  const low = Math.min(0, ...rows.flatMap((one) => one.quantiles));
  const high = Math.max(1e-9, ...rows.flatMap((one) => one.quantiles));
  const x = (/** @type {number} */ value) => `${(100 * (value - low)) / (high - low)}%`;
  return h("section", { "aria-labelledby": "per-class" },
    h("h2", { id: "per-class" }, "For which classes"),
    h("p", { class: "faint small" }, spread ? "Its share of the layer's relevance: dot the mean, box the middle half of the decisions, line 5 to 95 %." : "Its mean share of the layer's relevance, and one standard deviation to either side."),
    h("table", { class: "per-class" }, h("thead", { class: "hidden" }, h("tr", {}, h("th", { scope: "col" }, "class"), h("th", { scope: "col" }, "distribution"), h("th", { scope: "col" }, "mean share"))),
      h("tbody", {}, rows.map((one) => h("tr", {}, h("th", { scope: "row" }, h("a", { href: changed({ class: className(one.id) }) }, own(className(one.id)))),
        h("td", { class: "plot" }, svg("svg", { "aria-hidden": "true" },
          svg("line", { class: "zero", x1: x(0), x2: x(0), y1: "0", y2: "100%" }),
          svg("line", { class: "range", x1: x(one.quantiles[0]), x2: x(one.quantiles[4]), y1: "50%", y2: "50%" }),
          spread ? svg("rect", { class: "half", x: x(one.quantiles[1]), width: `${(100 * (one.quantiles[3] - one.quantiles[1])) / (high - low)}%`, y: "25%", height: "50%" }) : null,
          svg("circle", { cx: x(one.mean), cy: "50%", r: 4 }))),
        h("td", { class: "number" }, percent(one.mean, 1)))))));
}

/** Where it lies: context score, or the explained decisions. @param {import("./model.js").Layer} layer @param {number} concept */
function where(layer, concept) {
  const pairs = layer.context().filter((one) => one.concept === concept);
  const fromDecisions = layer === decisionLayer() ? outsideOfConcepts().find((one) => one.concept === concept) : undefined;
  return h("section", { "aria-labelledby": "where" },
    h("h2", { id: "where" }, "Object or context"),
    pairs.length
      ? [h("p", { class: "faint small" }, "Context score per class: mean share of its relevance outside the object, in the samples where it counts most; 95 % interval. Change: of its relevance when the background is replaced."),
         h("table", { class: "per-class" }, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "class"), h("th", { scope: "col" }, "context score"), h("th", { scope: "col" }, "change"))),
           h("tbody", {}, pairs.sort((a, b) => b.context - a.context).map((one) => h("tr", {}, h("th", { scope: "row" }, own(className(one.classId))), h("td", {}, outsideBar(one.context, { low: Number.isNaN(one.low) ? null : one.low, high: Number.isNaN(one.high) ? null : one.high })), h("td", { class: "number" }, percent(one.sensitivity))))))]
      : h("p", {}, "Its context score is not measured here. To find out: ", h("code", {}, "lcrp stage=context"), ", then make this page again."),
    fromDecisions ? [h("p", { class: "small" }, `In ${counted(fromDecisions.count, "explained decision")} in which it is among the first, of its relevance lies outside:`), outsideBar(fromDecisions.outside)] : null);
}

/** @param {import("./model.js").Layer} layer @param {number} concept */
function inDecisions(layer, concept) {
  const best = layer === decisionLayer() ? decisions.filter((one) => shareIn(one.number, concept) > 0).sort((a, b) => shareIn(b.number, concept) - shareIn(a.number, concept)).slice(0, 6) : [];
  const top = layer.top(concept);
  return h("section", { "aria-labelledby": "in-decisions" },
    h("h2", { id: "in-decisions" }, "Decisions in which it counts most"),
    best.length ? [h("ul", { class: "cards wide-cards" }, best.map((one) => h("li", {}, decisionCard(one, h("span", {}, `${percent(shareIn(one.number, concept), 1)} of the relevance`))))), h("p", {}, h("a", { href: href(["decisions"], { concept }) }, "All explained decisions by this concept"))] : null,
    top.length ? h("details", {}, h("summary", {}, `Over the whole dataset: the first ${top.length}`),
      h("table", { class: "plain" }, h("thead", {}, h("tr", {}, ["picture", "class", "share"].map((name) => h("th", { scope: "col" }, name)))),
        h("tbody", {}, top.map((one) => {
          const id = `${one.sample}.${one.classId}.${one.item}`;
          const name = index.keys[one.sample] ?? `sample ${one.sample}`;
          return h("tr", {}, h("td", {}, decisionById.has(id) ? h("a", { href: href(["decision", id]) }, own(name)) : own(name)), h("td", {}, own(className(one.classId))), h("td", { class: "number" }, percent(one.score, 1)));
        })))) : null);
}

/** @param {import("./model.js").Layer} layer @param {number} concept */
function alike(layer, concept) {
  const found = layer.alike(concept);
  if (!found.length) return null;
  return h("section", { "aria-labelledby": "alike" },
    h("h2", { id: "alike" }, "Comes and goes with"),
    h("p", { class: "faint small" }, `Concepts whose shares are most correlated with its own, over ${counted(layer.likeDecisions, "decision")}`, layer.likeDecisions < 100 ? ": few, so take it as a hint." : "."),
    h("ul", { class: "cards" }, found.map((one) => h("li", {}, conceptLink(layer, one.concept, { count: 4 }), h("span", { class: "faint small" }, `r = ${one.r.toFixed(2)}`)))));
}

/** What happens without it, where that was measured. @param {import("./model.js").Layer} layer @param {number} concept */
function without(layer, concept) {
  const table = index.findings.find((/** @type {any} */ one) => one.name === "context")?.tables.find((/** @type {any} */ one) => one.name === "case_study");
  const at = (/** @type {string} */ name) => table.columns.indexOf(name);
  const rows = table ? table.rows.filter((/** @type {any[]} */ row) => row[at("layer")] === layer.name && row[at("concepts")].split(" ").includes(String(concept))) : [];
  const audited = (tableRows("audit", "concepts") ?? []).filter((row) => row.layer === layer.name && row.concept === concept);
  if (!rows.length && !audited.length) return null;
  return h("section", { "aria-labelledby": "without" },
    h("h2", { id: "without" }, "Without it"),
    h("ul", {}, audited.map((row) => h("li", {}, "Set to zero, it costs a ", h("a", { href: href(["audit"], { class: row.class }) }, own(row.class)), ` ${row.usual_loss.toFixed(2)} of its score in usual surroundings, ${row.unusual_loss.toFixed(2)} in pictures without the class`, row.is_carrier ? ": it carries a part of what the class needs of its context." : ".")), rows.map((/** @type {any[]} */ row) => {
      const rest = row[at("concepts")].split(" ").filter((/** @type {string} */ one) => one !== String(concept)).map((/** @type {string} */ one) => `c${one}`);
      const interval = row[at("low")] === null ? "" : ` (${row[at("low")].toFixed(2)} to ${row[at("high")].toFixed(2)})`;
      return h("li", {}, `Set to zero${rest.length ? ` with ${rest.join(", ")}` : ""}, the logit of `, own(row[at("class")]), ` changes by ${row[at("change")]?.toFixed(2)}${interval} in ${counted(row[at("num_targets")], "picture")} ${row[at("pictures")]} its context.`);
    })));
}
