/** Parts that several views show: crops, photographs with boxes, bars, links. */

import { changed, go, href } from "./address.js";
import { index, picture } from "./data.js";
import { h, own, percent, svg } from "./dom.js";
import { className, conceptName, layerOf, verdict } from "./model.js";

const SIDE = 96; // of a crop in its strip
const SWAPPED = 160; // of an object before a ground, in its strip
const LEISURE = 400; // milliseconds until what is not on the screen is drawn

/** @type {WeakMap<Element, () => any>} */
const tasks = new WeakMap();
const watcher = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      watcher.unobserve(entry.target);
      tasks.get(entry.target)?.();
    }
  },
  { rootMargin: "200px" },
);

/** Do something once an element is about to be seen. @param {any} element @param {() => any} task */
export function whenSeen(element, task) {
  tasks.set(element, task);
  watcher.observe(element);
  return element;
}

const waiting = () => [...document.querySelectorAll("canvas[data-lazy]")];
let rest = 0;

/** Show pictures that are not on the screen, for printing. */
export const showAll = () => Promise.all(waiting().map((element) => tasks.get(element)?.()));

/** The same, one after the other, once a view was looked at for a while: whoever prints it from the menu waits for nothing. */
export async function showRest() {
  const mine = ++rest;
  await new Promise((resolve) => setTimeout(resolve, LEISURE));
  for (const element of waiting()) {
    if (mine !== rest) return;
    await tasks.get(element)?.();
  }
}

/** @param {HTMLCanvasElement} canvas @param {number} number @param {(image: ImageBitmap, context: CanvasRenderingContext2D) => void} draw */
function lazily(canvas, number, draw) {
  canvas.dataset.lazy = "";
  return whenSeen(canvas, async () => {
    try {
      draw(await picture(number), /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")));
    } catch {
      canvas.dataset.missing = "";
    }
    delete canvas.dataset.lazy;
  });
}

/** A reference of a concept. @param {string} name of the concept @param {import("./model.js").Reference} one */
export function crop(name, one) {
  const text = `${name}: ${className(one.classId)}, ${percent(one.score)} of the relevance, ${index.keys[one.sample] ?? ""}`;
  const canvas = h("canvas", { class: "crop", role: "img", "aria-label": text, title: text, width: SIDE, height: SIDE });
  if (one.image === undefined) return h("span", { class: "crop none", role: "img", "aria-label": `${text} (no picture in this file)` });
  return lazily(canvas, one.image, (image, context) => context.drawImage(image, one.place * SIDE, 0, SIDE, SIDE, 0, 0, SIDE, SIDE));
}

/** A reference with the box of its decision, where that crosses the crop. @param {string} name @param {import("./model.js").Reference} one */
export const boxedCrop = (name, one) => h("span", { class: "boxed" }, crop(name, one), one.box && one.image !== undefined ? outline([one.box]) : null);

/** The first references of a concept, side by side. @param {import("./model.js").Layer} layer @param {number} concept @param {number} count @param {number | null} classId of the class first, if any */
export function crops(layer, concept, count, classId = null) {
  const all = layer.references(concept);
  const chosen = classId === null ? all : [...layer.referencesOfClass(concept, classId), ...all.filter((one) => one.classId !== classId)];
  return cropRow(conceptName(layer, concept), chosen.slice(0, count));
}

/** Crops side by side. @param {string} name @param {import("./model.js").Reference[]} some */
export const cropRow = (name, some) => h("span", { class: "crops" }, some.map((one) => crop(name, one)));

/** A concept with its pictures, as a link. @param {import("./model.js").Layer} layer @param {number} concept @param {{count?: number, classId?: number | null, share?: number | null}} options */
export function conceptLink(layer, concept, { count = 3, classId = null, share = null } = {}) {
  return h(
    "a",
    { class: "concept-link", href: href(["concept", layer.name, concept], { class: classId === null ? null : className(classId) }) },
    crops(layer, concept, count, classId),
    h("span", { class: "caption" }, own(conceptName(layer, concept)), share === null ? null : h("span", { class: "number" }, percent(share))),
  );
}

/** A photograph of a decision on a canvas, cut around nothing, with its box. @param {any} decision @param {number} width */
export function thumbnail(decision, width = 160) {
  const shown = index.pictures[decision.picture];
  const [rows, columns] = shown.size;
  const height = Math.round((width * rows) / columns);
  const text = `${describe(decision)}, in ${shown.name}`;
  const canvas = h("canvas", { width, height, role: "img", "aria-label": text });
  const frame = h("span", { class: "thumbnail", style: { "--ratio": `${columns} / ${rows}` } }, canvas);
  if (decision.box) frame.append(outline([decision.box]));
  if (shown.image === null) canvas.dataset.missing = "";
  else lazily(canvas, shown.image, (image, context) => context.drawImage(image, 0, 0, width, height));
  return frame;
}

/** An object before one of its grounds, with its box. @param {any} object of the audit @param {number} at which ground */
export function swapped(object, at) {
  const [rows, columns] = object.size;
  const one = object.swapped[at];
  const width = Math.round(SWAPPED * Math.min(1, columns / rows));
  const height = Math.round(SWAPPED * Math.min(1, rows / columns));
  const text = `${object.class}, ${one.label}: ${score(one.score)}, ${one.outcome}`;
  const canvas = h("canvas", { width, height, role: "img", "aria-label": text, title: text });
  if (object.image === null) canvas.dataset.missing = "";
  else lazily(canvas, object.image, (image, context) => context.drawImage(image, at * SWAPPED + (SWAPPED - width) / 2, (SWAPPED - height) / 2, width, height, 0, 0, width, height));
  return h("span", { class: "thumbnail", style: { "--ratio": `${columns} / ${rows}` } }, canvas, outline([one.box]));
}

/** Boxes over a picture, in shares of it. @param {number[][]} boxes */
function outline(boxes) {
  return svg(
    "svg",
    { class: "boxes", viewBox: "0 0 1 1", preserveAspectRatio: "none", "aria-hidden": "true" },
    boxes.map(([left, top, right, bottom]) => [
      svg("rect", { class: "under", x: left, y: top, width: right - left, height: bottom - top }),
      svg("rect", { x: left, y: top, width: right - left, height: bottom - top }),
    ]),
  );
}

/** A score; less than 0.01 is not called nothing. */
export const score = (/** @type {number} */ value) => (value >= 0.005 || !value ? value.toFixed(2) : value.toPrecision(1));

/** 'boat 0.87, hit, 61 % of the relevance lies outside'. @param {any} decision */
export function describe(decision) {
  const facts = decision.facts;
  if (decision.missed) return `missed ${facts.class}, ${decision.missed.mechanism}`;
  const said = verdict(decision) === "unlabelled" ? "" : `, ${verdict(decision)}`;
  return `${facts.class} ${facts.confidence.toFixed(2)}${said}, ${percent(facts.outside)} of the relevance outside the ${facts.area === null ? "box" : "mask"}`;
}

/** Share of the evidence within and outside of the object. @param {number | null} outside @param {{low?: number | null, high?: number | null, area?: number | null}} more */
export function outsideBar(outside, { low = null, high = null, area = null, of = "of the positive relevance lies outside the object", kind = "" } = {}) {
  if (outside === null || Number.isNaN(outside)) return h("span", { class: "faint" }, "not known");
  const interval = low === null || high === null ? "" : ` (${percent(low)} to ${percent(high)})`;
  const compared = area === null ? "" : `; the outside is ${percent(area)} of the picture`;
  return h(
    "span",
    { class: `outside ${kind}`, title: `${percent(outside)}${interval} ${of}${compared}` },
    h("span", { class: "bar", "aria-hidden": "true" },
      h("span", { class: "fill", style: { width: `${100 * outside}%` } }),
      low === null || high === null ? null : h("span", { class: "whisker", style: { left: `${100 * low}%`, width: `${100 * (high - low)}%` } })),
    h("span", { class: "number" }, percent(outside)),
    interval ? h("span", { class: "faint interval" }, `${percent(low).replace(" %", "")}\u2013${percent(high)}`) : null,
  );
}

/** A signed share as a bar from the middle. @param {number} share @param {number} most */
export function shareBar(share, most) {
  const part = most ? Math.min(1, Math.abs(share) / most) : 0;
  return h("span", { class: share < 0 ? "share against" : "share", "aria-hidden": "true" }, h("span", { style: { width: `${100 * part}%` } }));
}

/** @param {any} decision @param {boolean} isShort without the kind of a false alarm */
export function badge(decision, isShort = false) {
  const said = verdict(decision);
  if (said === "unlabelled") return h("span", { class: "badge" }, "not annotated");
  return h("span", { class: said === "hit" ? "badge hit" : "badge alarm" }, decision.alarm && !isShort ? `${said}: ${decision.alarm.kind}` : said);
}

/** A decision in a line: thumbnail, class, verdict and where its evidence lies. @param {any} decision @param {any} extra */
export function decisionCard(decision, extra = null) {
  const { facts, missed } = decision;
  const layer = layerOf(decision);
  return h(
    "a",
    { class: "decision-card", href: href(["decision", decision.id]) },
    thumbnail(decision),
    h("span", { class: "text" },
      h("span", { class: "first" }, h("strong", {}, own(facts.class)), h("span", { class: "number" }, score(facts.confidence)), badge(decision, true)),
      missed ? h("span", { class: "cut" }, missed.mechanism) : outsideBar(facts.outside),
      missed ? h("span", { class: "faint cut", title: missed.notes[0] }, own(missed.notes[0])) : extra ?? h("span", { class: "faint cut" }, decision.alarm ? `${decision.alarm.kind} · ` : null, facts.concepts.slice(0, 3).map((/** @type {any} */ one) => `${conceptName(layer, one.concept)} ${percent(one.share)}`).join(" · ")),
      h("span", { class: "faint cut" }, own(index.pictures[decision.picture].name))),
  );
}

/** A filter that is switched on and off. @param {URLSearchParams} params @param {string} name @param {string | null} value @param {any} text @param {Record<string, null>} gone parameters that go with a change */
export function filterChip(params, name, value, text, gone = {}) {
  const isOn = (params.get(name) ?? null) === value;
  return h("a", { class: "chip", href: changed({ ...gone, [name]: isOn ? null : value }), "aria-current": isOn ? "true" : null }, text, isOn ? h("span", { "aria-hidden": "true" }, " ×") : null, isOn ? h("span", { class: "hidden" }, " (on, remove)") : null);
}

/** A choice that stands in the address. @param {URLSearchParams} params @param {string} name @param {string} label @param {[string, string][]} options value and text; '' is the default */
export const selection = (params, name, label, options) =>
  h("label", {}, label, " ", h("select", { onchange: (/** @type {any} */ event) => go(changed({ [name]: event.target.value || null })) },
    options.map(([value, text]) => h("option", { value, selected: (params.get(name) ?? "") === value }, text))));

/** A button that saves rows as CSV or JSON. @param {string} name @param {() => {columns: string[], rows: any[][]}} table */
export function saving(name, table) {
  return h("span", { class: "saving" }, "Save these numbers: ",
    h("button", { type: "button", onclick: () => save(`${name}.csv`, csv(table()), "text/csv") }, "CSV"), " ",
    h("button", { type: "button", onclick: () => save(`${name}.json`, json(table()), "application/json") }, "JSON"));
}

/** @param {{columns: string[], rows: any[][]}} table */
function csv({ columns, rows }) {
  const cell = (/** @type {any} */ value) => {
    const text = value === null || value === undefined || Number.isNaN(value) ? "" : String(value);
    const harmless = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text; // no formula
    return /[",\n\r]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
  };
  return [columns, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

/** @param {{columns: string[], rows: any[][]}} table */
const json = ({ columns, rows }) => JSON.stringify(rows.map((row) => Object.fromEntries(columns.map((name, at) => [name, row[at] ?? null]))), null, 2);

/** @param {string} name @param {string} text @param {string} type */
export function save(name, text, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  h("a", { href: url, download: name.replace(/[^\w.-]+/g, "-") }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
