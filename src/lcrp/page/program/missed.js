/** Missed objects and false alarms: one miss, and how many of each class there are and why. */

import { go, href, marks, toggleMark } from "./address.js";
import { index } from "./data.js";
import { counted, h, own, percent, svg } from "./dom.js";
import { conceptName, decisions, layerOf, layers, misses, tableRows } from "./model.js";
import { badge, cropRow, outsideBar, saving, score } from "./parts.js";
import { mapRows, stage } from "./stage.js";

const LISTED = 12; // classes
const ALL = "all"; // classes together

/** A missed object. @param {any} miss */
export function missView(miss) {
  const { facts, missed } = miss;
  const number = misses.indexOf(miss);
  const layer = layerOf(miss);
  const isHere = layers.includes(layer);
  const shown = stage(miss);
  const { rows, fix } = mapRows(shown, layer, missed.concepts, (one, choose, name) => {
    const references = one.references.map(([sample, classId, share], /** @type {number} */ place) => ({ sample, classId, item: 0, score: share, box: null, image: one.image ?? undefined, place }));
    return [
      h("div", { class: "line" }, choose, isHere ? h("a", { class: "name", href: href(["concept", layer.name, one.concept], { class: facts.class }) }, own(name)) : h("span", { class: "name" }, own(name))),
      h("p", { class: "small" }, one.text),
      cropRow(name, references),
    ];
  });
  const step = (/** @type {number} */ by) => misses[number + by] && go(href(["decision", misses[number + by].id]));
  const isMarked = marks().includes(miss.id);
  return {
    title: `missed ${facts.class}`,
    element: h("article", { class: "decision" },
      h("header", {},
        h("h1", { tabindex: "-1" }, own(facts.class), " ", h("span", { class: "number" }, score(facts.confidence)), " ", badge(miss)),
        h("p", { class: "lead" }, missed.headline, "."),
        h("ul", { class: "notes" }, missed.notes.map((/** @type {string} */ text) => h("li", {}, text, ".")))),
      h("div", { class: "columns" },
        h("div", {}, shown.element, h("p", { class: "outlines small" }, swatch(""), "the missed object", missed.outlines.map((/** @type {any} */ one, /** @type {number} */ at) => [swatch(at ? "preferred" : "best"), one.text]))),
        h("section", { "aria-labelledby": "carried" },
          h("h2", { id: "carried" }, missed.heading),
          h("p", { class: "faint small" }, missed.references_heading, ": the crops. Point at a row, or press its number, to see where it lies here."),
          h("ol", { class: "carried" }, rows))),
      h("nav", { class: "actions", "aria-label": "this miss" },
        number > 0 ? h("a", { href: href(["decision", misses[number - 1].id]) }, "← previous") : null,
        number < misses.length - 1 ? h("a", { href: href(["decision", misses[number + 1].id]) }, "next →") : null,
        h("button", { type: "button", "aria-pressed": String(isMarked), onclick: () => toggleMark(miss.id) }, isMarked ? "★ bookmarked" : "☆ bookmark"),
        h("a", { href: href(["decisions"], { verdict: "missed" }) }, "all misses")),
      h("p", { class: "faint small" }, own(index.pictures[miss.picture].name)),
      saving(`missed-${miss.id}`, () => ({ columns: ["concept", "found", "here", "gain"], rows: missed.absent.map((/** @type {any} */ one) => [one.concept, one.found, one.here, one.gain]) }))),
    keys: { j: () => step(1), k: () => step(-1), o: shown.toggle, b: () => toggleMark(miss.id), digit: fix },
    up: href(["decisions"], { verdict: "missed" }),
  };
}

/** How a box is drawn. @param {string} kind */
const swatch = (kind) => svg("svg", { class: "boxes swatch", viewBox: "0 0 28 14", "aria-hidden": "true" }, svg("g", { class: kind }, svg("rect", { class: "under", x: 2, y: 2, width: 24, height: 10 }), svg("rect", { x: 2, y: 2, width: 24, height: 10 })));

/** What stage=missed counted; nothing where it did not. */
export function errors() {
  const [classes, mechanisms, detections, kinds] = ["classes", "mechanisms", "detections", "alarm_kinds"].map((name) => tableRows("missed", name));
  if (!classes || !mechanisms || !detections || !kinds) return null;
  return h("section", { "aria-labelledby": "errors-title" },
    h("h2", { id: "errors-title" }, "What it misses, and what it sees that is not there"),
    h("p", { class: "faint" }, "Over all pictures of stage=missed, with 95 % intervals; shares are of all objects, or all detections, of the class. Links lead to those that are explained here."),
    errorTable("Missed", classes, ["missed", "objects"], mechanisms, "mechanism", "missed", misses.map((one) => [one.facts.class, one.missed.mechanism])),
    errorTable("False alarms", detections, ["false_alarms", "detections"], kinds, "kind", "false alarm", decisions.filter((one) => one.alarm).map((one) => [one.facts.class, one.alarm.kind])));
}

/**
 * @param {string} title @param {Record<string, any>[]} classes @param {[string, string]} counts columns of those counted, and of all
 * @param {Record<string, any>[]} parts @param {string} column @param {string} said verdict @param {string[][]} explained class and part of each
 */
function errorTable(title, classes, [some, all], parts, column, said, explained) {
  const [first, ...rest] = classes;
  const listed = [first, ...rest.filter((one) => one[some]).sort((a, b) => b.share - a.share).slice(0, LISTED)].filter(Boolean);
  const link = (/** @type {string} */ name, /** @type {string | null} */ part, /** @type {any} */ text) =>
    explained.some(([known, kind]) => (name === ALL || known === name) && (part === null || kind === part)) ? h("a", { href: href(["decisions"], { verdict: said, class: name === ALL ? null : name, [column]: part }) }, text) : text;
  const body = listed.map((one, at) => {
    const name = at ? one.class : ALL;
    const mine = parts.filter((part) => part.class === one.class && part.count).sort((a, b) => b.count - a.count);
    return h("tr", {},
      h("th", { scope: "row" }, link(name, null, at ? own(one.class) : "all classes"), h("span", { class: "faint small" }, `${one[some].toLocaleString("en")} of ${counted(one[all], all.slice(0, -1))}`)),
      h("td", {}, one[all] ? outsideBar(one.share, { low: one.low, high: one.high, of: `of its ${all}`, kind: "error" }) : null),
      h("td", {}, h("ul", { class: "parts" }, mine.map((part) => h("li", {}, link(name, part[column], part[column]), " ", h("span", { class: "number" }, percent(part.share, part.share < 0.1 ? 1 : 0)), part.low === null ? null : h("span", { class: "faint small number" }, ` ${percent(part.low, part.share < 0.1 ? 1 : 0).replace(" %", "")}–${percent(part.high, part.share < 0.1 ? 1 : 0).replace(" %", "")}`))))));
  });
  const left = rest.filter((one) => one[some]).length - LISTED;
  return h("div", {},
    h("h3", {}, title),
    h("div", { class: "wide" }, h("table", { class: "errors" },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Class"), h("th", { scope: "col" }, "Share"), h("th", { scope: "col" }, column === "kind" ? "What is wrong" : "Why"))),
      h("tbody", {}, body))),
    left > 0 ? h("p", { class: "faint small" }, `The ${LISTED} classes with the largest share; ${left} more stand in the tables below.`) : null);
}
