/** Does it need the context? What stage=audit told of every class: verdict, difference, what became of decisions, concepts, company. */

import { address, href } from "./address.js";
import { index } from "./data.js";
import { counted, h, own, percent, svg } from "./dom.js";
import { missing } from "./missing.js";
import { layers, tableRows } from "./model.js";
import { conceptLink, filterChip, saving, score, swapped } from "./parts.js";

const VERDICTS = { "needs its context": "needs", "does not": "not", "cannot tell": "unknown" };
const OUTCOMES = [["kept", "kept"], ["below_threshold", "below the threshold"], ["removed", "removed by NMS or as too many"], ["no_candidate", "no candidate left"]];
const GROUNDS = [["placebo", "its own surroundings, put back (placebo)"], ["usual", "other pictures with its class"], ["unusual", "pictures without its class"], ["synthetic", "colours and noises"]];
const TOGETHER = "smaller classes together"; // those that have too few pictures for a verdict of their own
const COMPANIONS = 4; // listed
const LEAST_SHOWN = 0.005; // fall: less is 0.00

/** What is known: the finding, and its rows by table; null where stage=audit was not run. */
export function audited() {
  const finding = index.findings.find((/** @type {any} */ one) => one.name === "audit");
  const verdicts = tableRows("audit", "verdicts");
  return finding && verdicts ? { finding, verdicts: verdicts.map((row, at) => ({ ...row, sentence: finding.sentences[at] })) } : null;
}

/** @param {string} name of the table @param {string} of the class */
const ofClass = (name, of) => (tableRows("audit", name) ?? []).filter((row) => row.class === of);

export function auditView() {
  const known = audited();
  if (!known) return missing("Stage audit was not run for this file: lcrp stage=audit, then make this page again.");
  const { params } = address();
  const all = [...known.verdicts].sort((a, b) => (b.difference ?? -9) - (a.difference ?? -9));
  const wanted = params.get("class");
  const shown = all.filter((one) => !wanted || one.class === wanted);
  const needing = all.filter((one) => one.verdict === "needs its context");
  return {
    title: "Audit",
    element: h("div", { class: "overview audit" },
      h("header", { class: "head" },
        h("h1", { tabindex: "-1" }, "Does it need the context?"),
        lead(needing, all),
        h("p", { class: "faint" }, "Annotated objects stay, what surrounds them becomes something else: other pictures with the class and without it. The difference is how much surer the network is in usual surroundings than in others, pasted alike in both, with a 95 % interval over pictures.")),
      table(all),
      all.length > 1 ? h("nav", { class: "chips", "aria-label": "classes" }, all.map((one) => filterChip(params, "class", one.class, own(one.class)))) : null,
      shown.map(section),
      rest(known)),
    up: href(["overview"]),
  };
}

/** @param {string} text */
const capital = (text) => text[0].toUpperCase() + text.slice(1);

/** @param {any[]} needing @param {any[]} all */
function lead(needing, all) {
  const named = (/** @type {any} */ one, /** @type {number} */ at) => (one.class_id < 0 ? (at ? TOGETHER : capital(TOGETHER)) : own(one.class));
  const names = (/** @type {any[]} */ some) => some.slice(0, 4).map((one, at) => [at ? (at === Math.min(some.length, 4) - 1 && some.length <= 4 ? " and " : ", ") : "", h("strong", {}, named(one, at))]);
  const isSeveral = needing.length > 1 || needing.some((one) => one.class_id < 0);
  const unknown = all.filter((one) => one.verdict === "cannot tell");
  const alone = unknown.filter((one) => !(one.class_id < 0)).length;
  const untold = [alone ? counted(alone, "class", "classes") : "", alone < unknown.length ? TOGETHER : ""].filter((text) => text).join(" and of ");
  const first = needing.length
    ? [names(needing), needing.length > 4 ? ` and ${needing.length - 4} more` : "", isSeveral ? " need their context: without it their scores fall by " : " needs its context: without it its score falls by ", needing.length > 1 ? `${score(needing[needing.length - 1].difference)} to ` : "", h("strong", {}, score(needing[0].difference)), "."]
    : ["No class surely needs its context."];
  return h("p", { class: "lead" }, first, untold ? ` Of ${untold} this cannot be told.` : "");
}

/** Difference with its interval, what counts as a need, and what the placebo costs. @param {any} row @param {[number, number]} range */
function plot({ difference, low, high, verdict }, placebo, [least, most]) {
  const x = (/** @type {number} */ value) => `${(100 * (value - least)) / (most - least)}%`;
  if (difference === null) return h("span", { class: "faint" }, "not known");
  const interval = low === null ? "" : ` (${signed(low)} to ${signed(high)})`;
  const said = `difference ${signed(difference)}${interval}; the placebo costs ${placebo === null ? "an unknown amount" : signed(placebo)}`;
  return h("span", { class: `difference ${VERDICTS[/** @type {keyof typeof VERDICTS} */ (verdict)]}` },
    svg("svg", { role: "img", "aria-label": said },
      svg("title", {}, said),
      svg("line", { class: "zero", x1: x(0), x2: x(0), y1: "0", y2: "100%" }),
      svg("line", { class: "least", x1: x(index.audit.least), x2: x(index.audit.least), y1: "0", y2: "100%" }),
      low === null ? null : svg("line", { class: "range", x1: x(low), x2: x(high), y1: "50%", y2: "50%" }),
      placebo === null ? null : svg("line", { class: "placebo", x1: x(placebo), x2: x(placebo), y1: "18%", y2: "82%" }),
      svg("circle", { cx: x(difference), cy: "50%", r: 5 })),
    h("span", { class: "number" }, signed(difference), h("span", { class: "faint interval" }, low === null ? "" : ` ${signed(low)} to ${signed(high)}`)));
}

/** @param {number} value */
const signed = (value) => `${value < 0 ? "\u2212" : ""}${score(Math.abs(value))}`;

/** Two decimals: what is less is nothing here. */
const fixed = (/** @type {any} */ value) => value.toFixed(2).replace(/^-(0\.00)$/, "$1").replace("-", "\u2212");

/** @param {any[]} all */
function table(all) {
  const ends = all.flatMap((one) => [one.difference, one.low, one.high, placeboOf(one.class), index.audit.least]).filter((one) => one !== null);
  /** @type {[number, number]} */
  const range = [Math.min(-0.02, ...ends), Math.max(0.1, ...ends)];
  return h("section", { "aria-labelledby": "verdicts" },
    h("h2", { id: "verdicts" }, "Verdicts"),
    h("p", { class: "faint small" }, "Dot and line: the difference and its interval. Dotted: what counts as a need. ", h("span", { class: "key placebo" }, "what the placebo costs"), " (its own surroundings, put back without other objects)."),
    h("div", { class: "wide" }, h("table", { class: "classes verdicts" },
      h("thead", {}, h("tr", {}, ["Class", "Verdict", "Difference", "Placebo's fall", "In pictures without its class"].map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", {}, all.map((one) => {
        const lost = ofClass("outcomes", one.class).find((row) => row.ground === "unusual");
        return h("tr", {},
          h("th", { scope: "row" }, h("a", { href: href(["audit"], { class: one.class }) }, own(one.class)), h("span", { class: "faint small" }, counted(one.objects, "object"))),
          h("td", {}, h("span", { class: `badge ${VERDICTS[/** @type {keyof typeof VERDICTS} */ (one.verdict)]}` }, one.verdict)),
          h("td", {}, plot(one, placeboOf(one.class), range)),
          h("td", {}, h("span", { class: "key placebo" }, h("span", { class: "narrow" }, "placebo's fall "), h("span", { class: "number" }, placeboOf(one.class) === null ? "not known" : fixed(placeboOf(one.class))))),
          h("td", {}, lost ? [bar(lost), h("span", { class: "small" }, `${percent(1 - lost.kept)} lost`)] : h("span", { class: "faint" }, "not known")));
      })))),
    legend(),
    saving("audit-verdicts", () => index.findings.find((/** @type {any} */ one) => one.name === "audit").tables.find((/** @type {any} */ one) => one.name === "verdicts")));
}

/** @param {string} name @returns {number | null} */
const placeboOf = (name) => ofClass("classes", name)[0]?.placebo_fall ?? null;

const legend = () => h("p", { class: "small keys" }, OUTCOMES.map(([name, text]) => h("span", { class: `key ${name}` }, text)));

/** What became of decisions, as shares. @param {any} row */
const bar = (row) => h("span", { class: "outcomes", role: "img", "aria-label": OUTCOMES.map(([name, text]) => `${percent(row[name])} ${text}`).join(", "), title: OUTCOMES.map(([name, text]) => `${percent(row[name])} ${text}`).join(", ") },
  OUTCOMES.map(([name]) => (row[name] > 0 ? h("span", { class: name, style: { width: `${100 * row[name]}%` } }) : null)));

/** How many are lost, and what became of them. @param {any} row */
function lostWords(row) {
  const parts = OUTCOMES.slice(1).filter(([name]) => row[name] > 0).map(([name, text]) => `${percent(row[name])} ${text}`);
  return [`${percent(1 - row.kept)} lost`, parts.length ? h("span", { class: "faint small" }, parts.join(", ")) : null];
}

/** One class. @param {any} one */
function section(one, at) {
  const isTogether = one.class_id < 0;
  const single = (tableRows("audit", "verdicts") ?? []).map((row) => row.class);
  const objects = index.audit.objects.filter((/** @type {any} */ object) => (isTogether ? !single.includes(object.class) : object.class === one.class));
  const outcomes = ofClass("outcomes", one.class);
  const id = `audit-${at}`;
  return h("section", { "aria-labelledby": id },
    h("h2", { id }, own(one.class), " ", h("span", { class: `badge ${VERDICTS[/** @type {keyof typeof VERDICTS} */ (one.verdict)]}` }, one.verdict)),
    one.sentence ? h("p", {}, one.sentence) : null,
    objects.map((/** @type {any} */ object) => before(object, isTogether)),
    one.verdict === "needs its context" ? carriers(one.class) : null,
    h("div", { class: "columns even bare" },
      outcomes.length ? h("div", {}, h("h3", {}, "What became of its decisions"), h("table", { class: "plain" },
        h("thead", { class: "hidden" }, h("tr", {}, ["surroundings", "shares", "lost"].map((text) => h("th", { scope: "col" }, text)))),
        h("tbody", {}, GROUNDS.map(([ground, text]) => [text, outcomes.find((row) => row.ground === ground)]).filter(([, row]) => row).map(([text, row]) =>
          h("tr", {}, h("th", { scope: "row" }, text), h("td", {}, bar(row)), h("td", {}, lostWords(row))))))) : null,
      company(one.class)));
}

/** An object before its grounds. @param {any} object @param {boolean} isNamed whether its class is told */
const before = (object, isNamed) => h("figure", { class: "swapped" },
  h("ul", {}, object.swapped.map((/** @type {any} */ one, /** @type {number} */ at) => h("li", { class: one.outcome === "kept" ? null : "lost" },
    swapped(object, at),
    h("span", { class: "label" }, own(one.label)),
    h("span", { class: "number" }, score(one.score), one.outcome === "kept" ? "" : h("span", { class: "outcome" }, ` ${one.outcome}`))))),
  h("figcaption", { class: "faint small" }, isNamed ? ["One object of the class ", h("strong", {}, own(object.class))] : "One of its objects", ", of median difference, and how sure the network is of it (", own(object.key), ")."));

/** Concepts that carry a class's dependence. @param {string} name */
function carriers(name) {
  const rows = ofClass("concepts", name);
  const surely = rows.filter((row) => row.is_carrier);
  const shown = surely.length ? surely : rows.slice(0, 1);
  if (!shown.length) return null;
  const classId = index.classes.indexOf(name);
  const [group] = ofClass("carriers", name).filter((row) => row.is_sure);
  const several = group?.concepts.includes(" ");
  return h("div", { class: "carriers" },
    h("h3", {}, surely.length ? "What carries it" : "No concepts surely carry it; this one comes nearest"),
    several ? h("p", {}, `Together set to zero, these ${surely.length} concepts cost the score `, losses(group)) : null,
    h("ol", { class: "cards" }, shown.map((row) => {
      const layer = layers.find((one) => one.name === row.layer);
      return h("li", {},
        layer ? conceptLink(layer, row.concept, { count: 6, classId }) : h("span", {}, `concept ${row.concept} of `, own(row.layer)),
        h("p", { class: "small" }, several ? "Alone, it costs " : "Set to zero, it costs the score ", losses(row)));
    })));
}

/** What the score loses without concepts. @param {any} row */
const losses = (row) => [h("strong", {}, signed(row.usual_loss)), " in usual surroundings and ", h("strong", {}, signed(row.unusual_loss)), " in pictures without the class: the fall is smaller by ", h("strong", {}, signed(row.cut)), row.cut_low === null ? "" : ` (${signed(row.cut_low)} to ${signed(row.cut_high)})`, `, at ${counted(row.decisions, "decision")} that had no part in the choice.`];

/** Objects of other classes, taken away one class at a time. @param {string} name */
function company(name) {
  const rows = ofClass("company", name).filter((row) => row.fall !== null).sort((a, b) => b.fall - a.fall).slice(0, COMPANIONS);
  if (!rows.length) return null;
  return h("div", {},
    h("h3", {}, "Without the company of another class"),
    h("p", { class: "faint small" }, "Its objects are filled from what surrounds them, one class at a time."),
    h("table", { class: "plain" },
      h("thead", { class: "hidden" }, h("tr", {}, ["without", "the score falls by", "objects"].map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", {}, rows.map((row) => h("tr", {},
        h("th", { scope: "row" }, "without ", own(row.without)),
        h("td", {}, row.fall >= LEAST_SHOWN ? `the score falls by ${fixed(row.fall)}` : ["no fall: ", fixed(row.fall)], row.fall_low === null ? "" : h("span", { class: "faint" }, ` (${fixed(row.fall_low)} to ${fixed(row.fall_high)})`)),
        h("td", { class: "faint" }, counted(row.objects, "object")))))));
}

/** What is said of all classes together. @param {NonNullable<ReturnType<typeof audited>>} known */
const rest = ({ finding, verdicts }) => h("section", { "aria-labelledby": "audit-all" },
  h("h2", { id: "audit-all" }, "Over all classes"),
  h("ul", {}, finding.sentences.slice(verdicts.length).map((/** @type {string} */ text) => h("li", {}, text))),
  h("p", { class: "faint small" }, "From ", own(finding.source), "."));
