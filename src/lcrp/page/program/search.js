/** Search by class, name of a concept, picture, or number (c137). */

import { go, href, named } from "./address.js";
import { index } from "./data.js";
import { h, own } from "./dom.js";
import { decisions, layers, misses } from "./model.js";

const MOST = 12;

/** @param {string} text @returns {{text: string, kind: string, to: string}[]} */
function matches(text) {
  const wanted = text.trim().toLocaleLowerCase();
  if (!wanted) return [];
  const found = [];
  const number = /^c?(\d+)$/.exec(wanted);
  for (const layer of layers) {
    if (number && Number(number[1]) < layer.size) found.push({ text: `c${Number(number[1])}`, kind: `concept of ${layer.name}`, to: href(["concept", layer.name, Number(number[1])]) });
    for (let concept = 0; concept < layer.size && found.length < MOST; concept++) {
      const name = named(layer, concept);
      if (name.toLocaleLowerCase().includes(wanted)) found.push({ text: name, kind: `c${concept} of ${layer.name}`, to: href(["concept", layer.name, concept]) });
    }
  }
  for (const name of index.classes) if (name.toLocaleLowerCase().includes(wanted)) found.push({ text: name, kind: "class", to: href(["decisions"], { class: name }) });
  for (const one of [...decisions, ...misses]) {
    if (found.length >= MOST) break;
    const name = index.pictures[one.picture].name;
    if (name.toLocaleLowerCase().includes(wanted)) found.push({ text: name, kind: `${one.missed ? "missed" : "decision for"} ${one.facts.class}`, to: href(["decision", one.id]) });
  }
  return found.slice(0, MOST);
}

export function search() {
  const results = h("ul", { id: "results", hidden: true });
  const field = h("input", { type: "search", placeholder: "Search", "aria-label": "search by class, name, picture or c137", autocomplete: "off", spellcheck: "false" });
  const status = h("span", { class: "hidden", role: "status" });
  const close = () => {
    results.hidden = true;
    field.value = "";
  };
  field.addEventListener("input", () => {
    const found = matches(field.value);
    status.textContent = field.value ? `${found.length} found` : "";
    results.replaceChildren(...(found.length ? found.map((one) => h("li", {}, h("a", { href: one.to, onclick: close }, own(one.text), " ", h("span", { class: "faint small" }, own(one.kind))))) : [h("li", { class: "faint" }, "nothing found")]));
    results.hidden = !field.value;
  });
  const move = (/** @type {KeyboardEvent} */ event) => {
    const links = [field, ...results.querySelectorAll("a")];
    const at = links.indexOf(/** @type {any} */ (document.activeElement));
    if (event.key === "ArrowDown" || event.key === "ArrowUp") links[(at + (event.key === "ArrowDown" ? 1 : links.length - 1)) % links.length].focus();
    else if (event.key === "Enter" && document.activeElement === field && links[1]) {
      go(links[1].getAttribute("href"));
      close();
    } else if (event.key === "Escape") {
      close();
      field.blur();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const element = h("div", { class: "search", role: "search", onkeydown: move, onfocusout: (/** @type {FocusEvent} */ event) => { if (!element.contains(event.relatedTarget)) results.hidden = true; } }, field, status, results);
  return { element, focus: () => field.focus() };
}
