/** The explorer: opens the page's data and shows the view that the address names. */

import { address, go, href } from "./address.js";
import { auditView, audited } from "./audit.js";
import { compareView } from "./compare.js";
import { conceptView } from "./concept.js";
import { conceptsView } from "./concepts.js";
import { index, load } from "./data.js";
import { decisionView } from "./decision.js";
import { decisionsView } from "./decisions.js";
import { h, own } from "./dom.js";
import { missing } from "./missing.js";
import { decisionLayer, prepare } from "./model.js";
import { overview } from "./overview.js";
import { showAll, showRest } from "./parts.js";
import { search } from "./search.js";

/** @typedef {{title: string, element: HTMLElement, keys?: Record<string, any>, up?: string, shown?: () => void, leave?: () => void, all?: () => void}} View */

/** @type {Record<string, () => View>} */
const VIEWS = { overview, decisions: decisionsView, decision: decisionView, concept: conceptView, concepts: conceptsView, compare: compareView, audit: auditView };
const SHEET = [
  ["j, k", "next, previous: decision, concept"], ["h, l", "layer before, after"], ["1 to 9", "concept of the decision: show where it lies"],
  ["o", "heatmap on, off"], ["c", "compare this decision"], ["b", "bookmark"], ["/", "search"], ["Ctrl P", "print, with all pictures"], ["Esc", "up, or close"], ["?", "this sheet"],
];

/** @type {View} */
let view;
let shownPath = "";
const main = h("main", { id: "main" });
const links = h("nav", { "aria-label": "views" });
const finder = search();
const sheet = h("dialog", { "aria-labelledby": "sheet-title" },
  h("h2", { id: "sheet-title" }, "Keys"),
  h("dl", { class: "keys" }, SHEET.map(([key, what]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)])),
  h("form", { method: "dialog" }, h("button", {}, "Close")));

function render() {
  const { path } = address();
  const name = path[0] ?? "overview";
  view?.leave?.();
  view = (VIEWS[name] ?? (() => missing(`There is no view '${name}'.`)))();
  main.replaceChildren(view.element);
  document.title = `${view.title} · ${index.title}`;
  navigate(name);
  const isOther = path.join("/") !== shownPath;
  if (isOther && shownPath) {
    scrollTo(0, 0);
    main.querySelector("h1")?.focus({ preventScroll: true });
  }
  shownPath = path.join("/") || "overview";
  view.shown?.();
  if (!view.all) showRest();
}

/** Print the view with all its pictures. */
async function printed() {
  view.all?.();
  await showAll();
  print();
}

/** @param {string} name of the view */
function navigate(name) {
  const layer = decisionLayer();
  const entries = [
    ["overview", "Overview", href(["overview"])],
    ["decisions", "Decisions", href(["decisions"])],
    ["concepts", "Concepts", layer ? href(["concepts"]) : null],
    ["audit", "Audit", audited() ? href(["audit"]) : null],
    ["compare", "Compare", href(["compare"])],
  ];
  links.replaceChildren(...entries.filter(([, , to]) => to).map(([view, text, to]) => h("a", { href: to, "aria-current": view === name || view === `${name}s` ? "page" : null }, text)));
}

/** @param {KeyboardEvent} event */
function pressed(event) {
  if ((event.ctrlKey || event.metaKey) && event.key === "p") {
    event.preventDefault();
    printed();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || sheet.open) return;
  const target = /** @type {HTMLElement} */ (event.target);
  const isTyping = target.matches("input:not([type=range], [type=checkbox]), select, textarea");
  if (event.key === "Escape" && isTyping) return target.blur();
  if (isTyping) return;
  const keys = view.keys ?? {};
  if (event.key === "/") finder.focus();
  else if (event.key === "?") sheet.showModal();
  else if (event.key === "Escape") go(view.up ?? href(["overview"]));
  else if (/^[1-9]$/.test(event.key) && keys.digit) keys.digit(Number(event.key));
  else if (keys[event.key]) keys[event.key]();
  else return;
  event.preventDefault();
}

async function start() {
  try {
    await load();
  } catch (error) {
    document.body.append(h("main", {}, h("h1", {}, "This page is damaged"), h("p", {}, `Its data cannot be read: ${error instanceof Error ? error.message : error}. Copy the file again, or make it anew with lcrp stage=explore.`)));
    return;
  }
  prepare();
  document.body.prepend(
    h("a", { class: "skip", href: "#main", onclick: (/** @type {Event} */ event) => { event.preventDefault(); main.querySelector("h1")?.focus(); } }, "Skip to the content"),
    h("header", { class: "top" }, h("p", { class: "title" }, own(index.title)), links, finder.element, h("button", { type: "button", class: "help", "aria-label": "keys", onclick: () => sheet.showModal() }, "?")),
    main, sheet);
  addEventListener("hashchange", render);
  addEventListener("keydown", pressed);
  addEventListener("beforeprint", () => {
    view.all?.();
    showAll();
  });
  render();
}

start();

