/** Addresses: every view, its filters, the names that were typed and the bookmarks stand behind the #. */

import { index } from "./data.js";

const KEPT = ["names", "marks"]; // go along with every link

/** @typedef {{path: string[], params: URLSearchParams}} Address */

/** The last address that was asked for, taken apart: views ask thousands of times. */
const last = { hash: "-", path: /** @type {string[]} */ ([]), params: new URLSearchParams(), typed: /** @type {Record<string, string>} */ ({}) };

/** @returns {Address} whose parameters are not to be changed */
export function address() {
  if (location.hash !== last.hash) {
    const [path, query] = location.hash.replace(/^#\/?/, "").split(/\?(.*)/s);
    last.hash = location.hash;
    last.path = path.split("/").filter(Boolean).map(safely);
    last.params = new URLSearchParams(query ?? "");
    last.typed = typedIn(last.params);
  }
  return last;
}

/** @param {string} text */
function safely(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The address of a view. @param {(string | number)[]} path @param {Record<string, any>} params empty ones are left out */
export function href(path, params = {}) {
  const here = address().params;
  const all = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) if (value !== null && value !== undefined && value !== "") all.set(name, String(value));
  for (const name of KEPT) if (!(name in params) && here.get(name)) all.set(name, /** @type {string} */ (here.get(name)));
  const query = all.toString();
  return `#/${path.map(encodeURIComponent).join("/")}${query ? `?${query}` : ""}`;
}

/** The present address with some parameters changed. @param {Record<string, any>} changed */
export function changed(changed) {
  const { path, params } = address();
  return href(path, { ...Object.fromEntries(params), ...changed });
}

export const go = (/** @type {string} */ to) => {
  if (location.hash !== to) location.hash = to;
};

/** Change the address without a step in the history. @param {string} to */
export function replace(to) {
  history.replaceState(null, "", to);
  dispatchEvent(new HashChangeEvent("hashchange"));
}

/** Names that were typed: "LAYER.CONCEPT" to name. @param {URLSearchParams} params @returns {Record<string, string>} */
function typedIn(params) {
  try {
    const found = JSON.parse(params.get("names") ?? "{}");
    return found && typeof found === "object" && !Array.isArray(found) ? found : {};
  } catch {
    return {};
  }
}

function typed() {
  address();
  return last.typed;
}

/** A concept's name: typed, else as the page was made with. @param {{number: number, name: string}} layer @param {number} concept */
export function named(layer, concept) {
  const name = typed()[`${layer.number}.${concept}`] ?? index.names[layer.name]?.[concept] ?? "";
  return String(name);
}

/** @param {{number: number}} layer @param {number} concept @param {string} name */
export function rename(layer, concept, name) {
  const names = { ...typed(), [`${layer.number}.${concept}`]: name.trim() };
  replace(changed({ names: JSON.stringify(names) }));
}

/** All names by layer and concept, as names=FILE reads them. @param {{number: number, name: string}[]} layers */
export function allNames(layers) {
  /** @type {Record<string, Record<string, string>>} */
  const found = structuredClone(index.names);
  for (const [key, name] of Object.entries(typed())) {
    const [number, concept] = key.split(".");
    const layer = layers[Number(number)]?.name;
    if (layer === undefined) continue;
    found[layer] ??= {};
    if (name) found[layer][concept] = String(name);
    else delete found[layer][concept];
  }
  return found;
}

/** Decisions with a bookmark. @returns {string[]} */
export const marks = () => (address().params.get("marks") ?? "").split(",").filter(Boolean);

/** @param {string} id */
export function toggleMark(id) {
  const known = marks();
  const next = known.includes(id) ? known.filter((one) => one !== id) : [...known, id];
  replace(changed({ marks: next.join(",") }));
}
