/** The one scale of signed relevance: red speaks for, blue against; the stronger, the more opaque (figures/colours.py). */

const FOR = [[0.99, 0.62, 0.52], [0.93, 0.16, 0.14], [0.6, 0.0, 0.09]];
const AGAINST = [[0.58, 0.77, 0.97], [0.14, 0.42, 0.86], [0.05, 0.14, 0.5]];
const STEPS = 127;

/** @param {number[][]} ramp @param {number} strength */
function along(ramp, strength) {
  const place = strength * 2;
  const first = Math.min(1, Math.floor(place));
  return ramp[first].map((value, channel) => value + (ramp[first + 1][channel] - value) * (place - first));
}

/** What a byte of a map stands for. @param {number} cell @param {number} limit */
export const valueOf = (cell, limit) => Math.sign(cell) * (cell / STEPS) ** 2 * limit;

/** 99th percentile of the visible values, as in figures. @param {Int8Array} cells @param {number} limit */
export function shading(cells, limit) {
  const sizes = Float64Array.from(cells, (cell) => Math.abs(valueOf(cell, limit))).filter((size) => size >= 0.01 * limit).sort();
  if (!limit || !sizes.length) return 0;
  const place = 0.99 * (sizes.length - 1);
  const low = Math.floor(place);
  return sizes[low] + (sizes[Math.min(low + 1, sizes.length - 1)] - sizes[low]) * (place - low);
}

/** Draw a map on a canvas of its own size. @param {HTMLCanvasElement} canvas @param {Int8Array} cells @param {number[]} size @param {number} limit @param {number} full value of full colour */
export function paint(canvas, cells, [rows, columns], limit, full) {
  canvas.width = columns;
  canvas.height = rows;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const pixels = context.createImageData(columns, rows);
  for (let at = 0; at < cells.length; at++) {
    const strength = full ? Math.min(1, Math.abs(valueOf(cells[at], limit)) / full) : 0;
    const colour = along(cells[at] < 0 ? AGAINST : FOR, strength);
    for (let channel = 0; channel < 3; channel++) pixels.data[4 * at + channel] = 255 * colour[channel];
    pixels.data[4 * at + 3] = 255 * 0.95 * strength ** 0.55;
  }
  context.putImageData(pixels, 0, 0);
}

/** The scale's bar. @param {HTMLCanvasElement} canvas */
export function paintBar(canvas) {
  const cells = Int8Array.from({ length: 255 }, (_, at) => Math.sign(at - 127) * Math.sqrt(Math.abs(at - 127) / 127) * STEPS);
  paint(canvas, cells, [1, 255], 1, 1);
}
