/** A list of any length: only the rows on the screen are there. */

import { h } from "./dom.js";

const MORE = 2; // rows above and below the screen

/**
 * @template T
 * @param {T[]} items
 * @param {(item: T, number: number) => HTMLElement} row
 * @param {{height: number, width: number, label: string}} options height of a row and least width of an item, in pixels
 */
export function virtualList(items, row, { height, width, label }) {
  const list = h("ul", { class: "virtual", "aria-label": label });
  let columns = 0;
  /** @type {Map<number, HTMLElement>} */
  const shown = new Map();
  let isWaiting = false;
  let isWhole = false;

  function update() {
    isWaiting = false;
    if (!list.isConnected || isWhole) return;
    arrange();
    const top = -list.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(top / height) - MORE) * columns;
    const last = Math.min(items.length, (Math.ceil((top + innerHeight) / height) + MORE) * columns);
    for (const [number, element] of shown) {
      if ((number >= first && number < last) || element.contains(document.activeElement)) continue;
      element.remove();
      shown.delete(number);
    }
    for (let number = first; number < last; number++) if (!shown.has(number)) show(number);
  }

  /** As many columns as have room. */
  function arrange() {
    const room = Math.max(1, Math.floor(list.clientWidth / width));
    if (room === columns) return;
    columns = room;
    list.style.height = `${Math.ceil(items.length / columns) * height}px`;
    for (const [number, element] of shown) place(element, number);
  }

  /** @param {HTMLElement} element @param {number} number */
  function place(element, number) {
    element.style.top = `${Math.floor(number / columns) * height}px`;
    element.style.left = `${(100 * (number % columns)) / columns}%`;
    element.style.width = `${100 / columns}%`;
    element.style.height = `${height}px`;
  }

  /** @param {number} number */
  function show(number) {
    const element = h("li", { "aria-setsize": items.length, "aria-posinset": number + 1 }, row(items[number], number));
    place(element, number);
    shown.set(number, element);
    const next = [...shown.keys()].filter((one) => one > number).sort((a, b) => a - b)[0];
    list.insertBefore(element, next === undefined ? null : /** @type {HTMLElement} */ (shown.get(next)));
    return element;
  }

  const later = () => {
    if (!isWaiting) requestAnimationFrame(update);
    isWaiting = true;
  };
  addEventListener("scroll", later, { passive: true });
  addEventListener("resize", later);
  queueMicrotask(update);
  return {
    element: list,
    update,
    /** Show every row: a print has no screen. */
    all() {
      isWhole = true;
      items.forEach((_, number) => shown.has(number) || show(number));
      addEventListener("afterprint", () => { isWhole = false; update(); }, { once: true });
    },
    /** Bring a row to the screen and focus it. @param {number} number */
    focus(number) {
      const element = shown.get(number) ?? show(number);
      element.querySelector("a")?.focus();
      element.scrollIntoView({ block: "nearest" });
    },
    leave() {
      removeEventListener("scroll", later);
      removeEventListener("resize", later);
    },
  };
}
