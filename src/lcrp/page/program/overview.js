/** First view: what the network looks at, where it leans on context, and what to trust. */

import { allNames, href } from "./address.js";
import { audited } from "./audit.js";
import { index } from "./data.js";
import { counted, h, own, percent, pictures } from "./dom.js";
import { className, conceptName, decisionLayer, decisions, layers, outsideByClass, outsideOfConcepts, verdict } from "./model.js";
import { errors } from "./missed.js";
import { conceptLink, outsideBar, save, saving } from "./parts.js";

const LISTED = 8; // context-bound concepts
const LITTLE = 0.25; // of the evidence
const FEW = 5; // decisions: less carry no headline
const SLIGHT = 0.01; // of a class's relevance: a concept of less is not told to lean anywhere
const TITLES = { audit: "Does it need the context?", missed: "What it misses, and why", ledger: "Where the relevance goes", context: "Context: does the share outside foretell anything?", evaluate: "Is the order of concepts right?" };

export function overview() {
  const classes = classRows();
  return {
    title: "Overview",
    element: h("div", { class: "overview" }, head(classes), classTable(classes), errors(), boundConcepts(), trust(), about()),
  };
}

function classRows() {
  const layer = decisionLayer();
  const outside = new Map(outsideByClass().map((one) => [one.classId, one]));
  return layer.classIds
    .map((classId, row) => ({ classId, row, count: layer.count[row], outside: outside.get(classId) ?? null }))
    .sort((a, b) => (b.outside?.outside ?? -1) - (a.outside?.outside ?? -1));
}

/** @param {ReturnType<typeof classRows>} classes */
function head(classes) {
  const known = classes.filter((one) => one.outside && one.outside.count >= FEW);
  const facts = index.facts;
  const lead = h("p", { class: "lead" });
  if (known.length) {
    const most = known[0];
    const share = most.outside?.outside ?? 0;
    lead.append(own(facts.called ?? facts.model), share < LITTLE ? " looks at the objects themselves: even for " : " leans on what surrounds the object: for ", own(className(most.classId)),
      share < LITTLE ? ", most of all, only " : ", most of all, ", h("strong", {}, percent(share)), " of the evidence lies outside", known.length < classes.length ? ` (of classes with ${FEW} decisions or more).` : ".");
    const concept = bound().find((one) => one.count >= FEW);
    if (concept && concept.value > Math.max(share, LITTLE)) lead.append(" Single concepts lean on the context: ",
      h("a", { href: href(["concept", decisionLayer().name, concept.concept]) }, own(conceptName(decisionLayer(), concept.concept))), ", by ", h("strong", {}, percent(concept.value)), ".");
  } else lead.append("What the concepts of this network stand for, and for which classes they count.",
    decisions.length ? ` Too few decisions of any class are explained to say more of it (less than ${FEW}).` : "");
  const hits = decisions.filter((one) => verdict(one) === "hit").length;
  const alarms = decisions.filter((one) => verdict(one) === "false alarm").length;
  return h("header", { class: "head" },
    h("h1", { tabindex: "-1" }, "What does it look at?"),
    lead,
    audited() ? auditTold()[0] : null,
    h("p", { class: "faint" },
      `Concepts ranked over ${counted(facts.num_targets, "decision")} in ${pictures(facts.num_photographs ?? facts.num_samples, facts.num_samples)} (`, own(facts.dataset), "); ",
      decisions.length
        ? h("a", { href: href(["decisions"]) }, `${counted(decisions.length, "decision")} explained`, hits + alarms ? ` (${counted(hits, "hit")}, ${counted(alarms, "false alarm")})` : "")
        : "no single decision is explained here",
      "."));
}

/** @param {ReturnType<typeof classRows>} classes */
function classTable(classes) {
  const layer = decisionLayer();
  const isMeasured = classes.some((one) => one.outside?.isMeasured);
  const source = isMeasured
    ? "outside the object as it is annotated, as stage=context measured it, with 95 % intervals"
    : "outside the decision's own box or mask, mean over the explained decisions";
  const body = classes.map(({ classId, row, count, outside }) =>
    h("tr", {},
      h("th", { scope: "row" }, h("a", { href: href(["decisions"], { class: className(classId) }) }, own(className(classId))), h("span", { class: "faint small" }, counted(count, "decision"))),
      h("td", {}, outside ? [outsideBar(outside.outside, outside), h("span", { class: "faint small" }, ` over ${counted(outside.count, "decision")}`)] : h("span", { class: "faint" }, "no decision explained")),
      h("td", { class: "concepts" }, layer.ranked(row).slice(0, 4).filter((one) => layer.share(row, one) > 0).map((one) => conceptLink(layer, one, { count: 2, classId, share: layer.share(row, one) })))));
  return h("section", { "aria-labelledby": "classes-title" },
    h("h2", { id: "classes-title" }, "Classes"),
    h("p", { class: "faint" }, "Evidence outside: share of the positive relevance that lies ", source, ". Concepts: those with the largest mean share of the relevance in ", own(layer.name), "."),
    h("div", { class: "wide" }, h("table", { class: "classes" },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Class"), h("th", { scope: "col" }, h("span", { class: "key out" }, "Evidence outside"), h("span", { class: "key" }, "on the object")), h("th", { scope: "col" }, "Concepts that count most"))),
      h("tbody", {}, body))),
    h("p", {}, h("a", { href: href(["concepts"]) }, `All ${counted(layer.size, "concept")} of the layer`)),
    saving("classes", () => ({
      columns: ["class", "class_id", "decisions", "outside", "outside_low", "outside_high", "outside_area", "from_decisions"],
      rows: classes.map((one) => [className(one.classId), one.classId, one.count, one.outside?.outside, one.outside?.low, one.outside?.high, one.outside?.area, one.outside?.count]),
    })));
}

/** Concepts by how much they lean on the context, most first, and over how many decisions of the class that was measured. */
function bound() {
  const layer = decisionLayer();
  const rowOf = new Map(layer.classIds.map((classId, row) => [classId, row]));
  const counts = (/** @type {any} */ one) => layer.share(rowOf.get(one.classId) ?? -1, one.concept) >= SLIGHT;
  const measured = layer.context().filter((one) => !Number.isNaN(one.context) && counts(one)).sort((a, b) => b.context - a.context);
  if (measured.length) return measured.map((one) => ({ count: layer.count[rowOf.get(one.classId) ?? -1], concept: one.concept, classId: one.classId, value: one.context, low: Number.isNaN(one.low) ? null : one.low, high: Number.isNaN(one.high) ? null : one.high }));
  return outsideOfConcepts().filter((one) => one.count > 1).sort((a, b) => b.outside - a.outside).map((one) => ({ concept: one.concept, classId: null, value: one.outside, low: null, high: null, count: one.count }));
}

function boundConcepts() {
  const layer = decisionLayer();
  const rows = bound();
  const measured = layer.context();
  if (!rows.length) return null;
  const note = measured.length
    ? "Context score: mean share of a concept's relevance that lies outside the object as it is annotated, in the samples where it counts most (95 % interval); of concepts with at least 1 % of the class's relevance."
    : "Mean share of the concept's relevance outside the object in the explained decisions, weighted by its share. Context scores with intervals: lcrp stage=context, then make this page again.";
  return h("section", { "aria-labelledby": "bound-title" },
    h("h2", { id: "bound-title" }, "Concepts that lean on context most"),
    h("p", { class: "faint" }, note),
    h("ol", { class: "cards" }, rows.slice(0, LISTED).map((one) =>
      h("li", {}, conceptLink(layer, one.concept, { count: 4, classId: one.classId }),
        one.classId === null ? null : h("span", { class: "faint small" }, "for ", own(className(one.classId))),
        outsideBar(one.value, one)))),
    h("p", {}, h("a", { href: href(["concepts"], { sort: "context" }) }, "All concepts by context")));
}

function trust() {
  return h("section", { "aria-labelledby": "trust-title" },
    h("h2", { id: "trust-title" }, "What to trust"),
    h("div", { class: "findings" }, index.findings.map((/** @type {any} */ one) =>
      h("article", {},
        h("h3", {}, TITLES[one.name] ?? one.name),
        one.name === "audit" && audited() ? auditTold() : told(one.sentences),
        one.sentences.length ? h("p", { class: "faint small" }, "From ", own(one.source), ".") : h("p", {}, "Not measured for this file. To find out, run the command below with the same settings, then make this page again: ", h("code", {}, one.command || "lcrp stage=glocal")),
        one.tables.map((/** @type {any} */ table) => h("details", {}, h("summary", {}, `Table: ${table.name}`), plainTable(table, one.name), saving(`${one.name}-${table.name}`, () => table)))))));
}

/** Verdicts stand in a view of their own. */
function auditTold() {
  const { verdicts } = /** @type {NonNullable<ReturnType<typeof audited>>} */ (audited());
  const needing = verdicts.filter((one) => one.verdict === "needs its context");
  const links = needing.slice(0, LISTED).map((one, at) => [at ? ", " : "", h("a", { href: href(["audit"], { class: one.class }) }, own(one.class))]);
  return [
    h("p", {}, "Put into other surroundings, ", needing.length ? [`${counted(needing.length, "class", "classes")} of ${verdicts.length} surely ${needing.length === 1 ? "needs its" : "need their"} context: `, links, needing.length > LISTED ? " …" : "."] : "no class surely needs its context."),
    h("p", {}, h("a", { href: href(["audit"]) }, "All verdicts, with the concepts that carry them")),
  ];
}

/** Sentences; those after one that ends with a colon are a list. @param {string[]} sentences */
function told(sentences) {
  const opening = sentences.findIndex((text) => text.endsWith(":")) + 1 || sentences.length;
  const list = sentences.slice(opening);
  return [sentences.slice(0, opening).map((text) => h("p", {}, text)), list.length ? h("ul", {}, list.map((text) => h("li", {}, text))) : null];
}

/** @param {any} table @param {string} stage */
function plainTable({ name, columns, rows }, stage) {
  const text = (/** @type {any} */ value) => (typeof value === "number" && !Number.isInteger(value) ? value.toPrecision(3) : value === null ? "" : String(value));
  return h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": `table ${name} of ${stage}, scrolls sideways` }, h("table", { class: "plain" },
    h("thead", {}, h("tr", {}, columns.map((/** @type {string} */ name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, rows.map((/** @type {any[]} */ row) => h("tr", {}, row.map((value) => h("td", {}, own(text(value)))))))));
}

function about() {
  const { settings, versions, ...facts } = index.facts;
  const pairs = [...Object.entries(facts).filter(([, value]) => value !== null && value !== ""), ["versions", Object.entries(versions ?? {}).map(([name, value]) => `${name} ${value}`).join(", ")]];
  return h("section", { "aria-labelledby": "about-title" },
    h("h2", { id: "about-title" }, "About this file"),
    index.left_out.length ? h("div", {}, h("h3", {}, "Left out"), h("ul", {}, index.left_out.map((/** @type {any} */ one) => h("li", {}, one.what, ". To get it: ", h("code", {}, one.how))))) : null,
    h("details", {}, h("summary", {}, "Hashes, versions, settings"),
      h("dl", {}, pairs.map(([name, value]) => [h("dt", {}, name.replaceAll("_", " ")), h("dd", {}, own(String(value)))])),
      h("pre", { tabindex: "0", "aria-label": "settings" }, JSON.stringify(settings, null, 2))),
    h("p", {}, h("button", { type: "button", onclick: () => save("names.json", JSON.stringify(namesFile(), null, 2), "application/json") }, "Save names of concepts"), h("span", { class: "faint" }, " Type them on a concept's page; they stand in the address, too, so a copied link carries them.")));
}

const namesFile = () => ({ format: "lcrp-names", version: 1, model: index.facts.model, checkpoint_sha256: index.facts.checkpoint_sha256, names: allNames(layers) });
