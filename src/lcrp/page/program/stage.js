/** A photograph with maps laid over it, and the boxes of all explained decisions about it. */

import { go, href } from "./address.js";
import { paint, paintBar, shading, valueOf } from "./colour.js";
import { decisionArrays, index, picture } from "./data.js";
import { h, svg } from "./dom.js";
import { conceptName, decisions, layerOf, misses } from "./model.js";
import { describe } from "./parts.js";

const SHARE = 0.85; // opacity of the overlay at first
const SAME = 0.005; // of the picture's side: between two boxes that are one
const LARGER = 5; // pixels for a cell of a map

/** What a person chose, kept from one decision to the next. */
const chosen = { opacity: SHARE, isShared: false, isShown: true };

/** @param {any} decision @param {{isSmall?: boolean}} options */
export function stage(decision, { isSmall = false } = {}) {
  const shown = index.pictures[decision.picture];
  const [rows, columns] = shown.size;
  const others = [...decisions, ...misses].filter((one) => one.picture === decision.picture && one.box);
  const ground = h("canvas", { class: "ground", width: columns, height: rows, role: "img", "aria-label": `photograph ${shown.name}` });
  const overlay = h("canvas", { class: "overlay", "aria-hidden": "true" });
  const grid = document.createElement("canvas");
  const boxes = svg("svg", { class: "boxes", viewBox: `0 0 ${columns} ${rows}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    unexplained(decision, others).map((one) => outlined(one, columns, rows)),
    others.filter((one) => one !== decision).map((one) => box(one, columns, rows, "other")),
    (decision.missed?.outlines ?? []).map((/** @type {any} */ one, /** @type {number} */ at) => svg("g", { class: at ? "preferred" : "best" }, svg("title", {}, one.text), rectangle(one.box, columns, rows, { class: "under" }), rectangle(one.box, columns, rows))),
    decision.box ? box(decision, columns, rows, "this") : null);
  const mask = h("canvas", { class: "mask", "aria-hidden": "true" });
  const readout = h("output", { class: "readout" });
  const frame = h("div", { class: "frame", style: { "--ratio": `${columns} / ${rows}` } }, ground, overlay, mask, boxes);
  const legend = h("figcaption", {});
  /** @type {Awaited<ReturnType<typeof decisionArrays>> | null} */
  let arrays = null;
  let map = 0;
  /** @type {(concept: number | null) => void} */
  let onPlace = () => {};

  const part = (/** @type {number} */ number) => {
    if (!arrays) return new Int8Array();
    const [, height, width] = arrays.shape;
    return arrays.maps.subarray(number * height * width, (number + 1) * height * width);
  };

  function draw() {
    frame.style.setProperty("--opacity", String(chosen.isShown ? chosen.opacity : 0));
    if (!arrays) return;
    const reference = chosen.isShared ? 0 : map;
    const full = shading(part(reference), decision.limits[reference]);
    paint(grid, part(map), arrays.shape.slice(1), decision.limits[map], full);
    enlarge(overlay, grid);
    const what = map ? `relevance through ${conceptName(layerOf(decision), decision.facts.concepts[map - 1].concept)}` : decision.missed ? "relevance of its best box" : "relevance of the decision";
    const bar = h("canvas", { class: "scale", role: "img", "aria-label": "colour scale: blue speaks against, red for the decision" });
    paintBar(bar);
    legend.replaceChildren(h("span", { class: "what" }, what, ", ", chosen.isShared ? "scale of the decision" : "own scale"), h("span", { class: "legend" }, h("span", {}, `\u2212${full.toPrecision(2)}`), bar, h("span", {}, `+${full.toPrecision(2)}`)), readout);
  }

  (async () => {
    if (shown.image !== null) picture(shown.image).then((image) => ground.getContext("2d").drawImage(image, 0, 0, columns, rows)).catch(() => (ground.dataset.missing = ""));
    else ground.dataset.missing = "";
    arrays = await decisionArrays(decision.arrays);
    if (arrays.mask) paintMask(mask, arrays.mask, arrays.maskShape);
    draw();
  })();

  frame.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
    if (!arrays) return;
    const place = frame.getBoundingClientRect();
    const [, height, width] = arrays.shape;
    const row = Math.min(height - 1, Math.max(0, Math.floor(((event.clientY - place.top) / place.height) * height)));
    const column = Math.min(width - 1, Math.max(0, Math.floor(((event.clientX - place.left) / place.width) * width)));
    const values = decision.limits.map((/** @type {number} */ limit, /** @type {number} */ number) => valueOf(part(number)[row * width + column], limit));
    const most = values.slice(1).reduce((best, value, at) => (value > (values[best + 1] ?? 0) ? at : best), -1);
    readout.textContent = `here: ${values[map].toPrecision(2)}${most >= 0 && values[most + 1] > 0 ? `, most through ${conceptName(layerOf(decision), decision.facts.concepts[most].concept)}` : ""}`;
    onPlace(most >= 0 && values[most + 1] > 0 ? most : null);
  });
  frame.addEventListener("pointerleave", () => {
    readout.textContent = "";
    onPlace(null);
  });

  const slider = h("input", { type: "range", min: 0, max: 1, step: 0.05, value: chosen.opacity, oninput: (/** @type {any} */ event) => {
    chosen.opacity = Number(event.target.value);
    chosen.isShown = true;
    draw();
  } });
  const scale = h("label", { class: "check" }, h("input", { type: "checkbox", checked: chosen.isShared, onchange: (/** @type {any} */ event) => {
    chosen.isShared = event.target.checked;
    draw();
  } }), " one scale for all maps");
  draw();
  return {
    element: h("figure", { class: isSmall ? "stage small" : "stage" }, frame, legend, isSmall ? null : h("div", { class: "controls" }, h("label", {}, "Heatmap ", slider), scale)),
    /** Lay a map over the picture: 0 the decision's, from 1 on a concept's. @param {number} number */
    show(number) {
      map = number;
      draw();
    },
    shown: () => map,
    toggle() {
      chosen.isShown = !chosen.isShown;
      draw();
    },
    /** @param {(concept: number | null) => void} listener is told which concept counts most below the pointer */
    listen(listener) {
      onPlace = listener;
    },
  };
}

/** @param {any} one @param {number} columns @param {number} rows @param {string} kind */
function box(one, columns, rows, kind) {
  const open = kind === "other" ? () => go(href(["decision", one.id])) : null;
  return svg("g", { class: kind, onclick: open }, svg("title", {}, describe(one)), rectangle(one.box, columns, rows, { class: "under" }), rectangle(one.box, columns, rows));
}

/** @param {number[]} box in shares of the picture @param {number} columns @param {number} rows */
const rectangle = ([left, top, right, bottom], columns, rows, more = {}) => svg("rect", { ...more, x: left * columns, y: top * rows, width: (right - left) * columns, height: (bottom - top) * rows });

/** Other decisions about the picture that are told of, and not explained here. @param {any} decision @param {any[]} explained */
function unexplained(decision, explained) {
  const [height, width] = decision.facts.picture_size ?? [1, 1];
  const boxes = (decision.facts.others ?? []).filter((one) => one.box).map((one) => ({ ...one, place: one.box.map((side, at) => side / (at % 2 ? height : width)) }));
  return boxes.filter((one) => !explained.some((known) => known.facts.class === one.class && known.box.every((side, at) => Math.abs(side - one.place[at]) < SAME)));
}

/** A box that leads nowhere. @param {any} one @param {number} columns @param {number} rows */
function outlined(one, columns, rows) {
  return svg("g", { class: "told" }, svg("title", {}, `${one.class} ${one.confidence.toFixed(2)}, not explained in this file`), rectangle(one.place, columns, rows));
}

/** Draw a small canvas smoothly on a larger one: paper knows no smoothing. @param {HTMLCanvasElement} canvas @param {HTMLCanvasElement} grid */
function enlarge(canvas, grid) {
  canvas.width = LARGER * grid.width;
  canvas.height = LARGER * grid.height;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.imageSmoothingQuality = "high";
  context.drawImage(grid, 0, 0, canvas.width, canvas.height);
}

/** The outline of a mask. @param {HTMLCanvasElement} canvas @param {Uint8Array} cells @param {number[]} size */
function paintMask(canvas, cells, [rows, columns]) {
  canvas.width = columns;
  canvas.height = rows;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const pixels = context.createImageData(columns, rows);
  const isIn = (/** @type {number} */ row, /** @type {number} */ column) => row >= 0 && column >= 0 && row < rows && column < columns && cells[row * columns + column] > 127;
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) {
      const isEdge = isIn(row, column) && !(isIn(row - 1, column) && isIn(row + 1, column) && isIn(row, column - 1) && isIn(row, column + 1));
      if (isEdge) pixels.data.set([255, 196, 0, 255], 4 * (row * columns + column));
    }
  context.putImageData(pixels, 0, 0);
}

/**
 * Rows of concepts whose maps are laid over the picture: while pointed at, and for good when chosen, by key or button.
 * @param {any} shown what `stage` made
 * @param {any} layer of the concepts
 * @param {any[]} concepts
 * @param {(one: any, choose: HTMLElement, name: string) => any[]} content of a row
 */
export function mapRows(shown, layer, concepts, content) {
  let fixed = 0;
  const rows = concepts.map((one, at) => {
    const name = conceptName(layer, one.concept);
    const choose = h("button", { type: "button", class: "choose", "aria-pressed": "false", onclick: () => fix(fixed === at + 1 ? 0 : at + 1) }, h("kbd", {}, at + 1), h("span", { class: "hidden" }, ` show relevance through ${name}`));
    return h("li", { onpointerenter: () => shown.show(at + 1), onpointerleave: () => shown.show(fixed) }, content(one, choose, name));
  });
  const fix = (/** @type {number} */ map) => {
    fixed = map <= rows.length ? map : 0;
    shown.show(fixed);
    rows.forEach((row, at) => {
      row.classList.toggle("fixed", at + 1 === fixed);
      row.querySelector("button")?.setAttribute("aria-pressed", String(at + 1 === fixed));
    });
  };
  shown.listen((/** @type {number} */ at) => rows.forEach((row, here) => row.classList.toggle("here", here === at)));
  return { rows, fix };
}
