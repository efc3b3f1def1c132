/** Elements, made without markup: every text from the data becomes a text node. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * @param {Element} element
 * @param {Record<string, any>} properties attributes; "on..." are listeners, "style" an object, null leaves one out
 * @param {any[]} children elements, texts, lists of them; null leaves one out
 */
function filled(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, one] of Object.entries(value)) /** @type {any} */ (element).style.setProperty(key, one);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** @returns {any} an HTML element */
export const h = (/** @type {string} */ tag, properties = {}, ...children) => filled(document.createElement(tag), properties, children);

/** @returns {any} an SVG element */
export const svg = (/** @type {string} */ tag, properties = {}, ...children) => filled(document.createElementNS(SVG, tag), properties, children);

/** Text that is isolated from its surroundings, whichever way it is written. */
export const own = (/** @type {string} */ text, properties = {}) => h("bdi", { title: text.length > 40 ? text : null, ...properties }, text);

/** Per cent as in figures: '<1 %' and '>99 %' where rounding would claim nothing or all. */
export function percent(/** @type {number | null | undefined} */ share, digits = 0) {
  if (share === null || share === undefined || Number.isNaN(share)) return "not known";
  const least = 0.5 * 10 ** (-2 - digits);
  if (share !== 0 && Math.abs(share) < least) return share > 0 ? `<${10 ** -digits} %` : `>\u2212${10 ** -digits} %`;
  if (share < 1 && share >= 1 - least) return ">99 %";
  return `${(100 * share).toFixed(digits).replace("-", "\u2212")} %`;
}

/** '2 pictures', '9 tiles of 2 pictures'. */
export const pictures = (/** @type {number} */ count, /** @type {number} */ tiles) => `${tiles > count ? `${counted(tiles, "tile")} of ` : ""}${counted(count, "picture")}`;

/** '1 decision', '2 decisions'. */
export const counted = (/** @type {number} */ count, /** @type {string} */ word, words = `${word}s`) => `${count.toLocaleString("en")} ${count === 1 ? word : words}`;
