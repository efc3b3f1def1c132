/** The page's data: a JSON index, blocks of arrays, and pictures. */

const KINDS = { i1: Int8Array, u1: Uint8Array, i4: Int32Array, f4: Float32Array, f8: Float64Array };
const MOST_PICTURES = 48; // that are held decoded

/** @type {any} the index */
export let index;
/** @type {Map<number, Promise<ArrayBuffer>>} */
const blocks = new Map();
/** @type {Map<number, Promise<ImageBitmap>>} */
const pictures = new Map();
/** @type {ArrayBuffer} */
let core;
/** @type {Map<number, (text: string) => void>} */
const waiting = new Map();
const isFolder = document.documentElement.dataset.folder === "true";

/** @param {string} text */
function decoded(text) {
  const native = /** @type {any} */ (Uint8Array).fromBase64;
  if (native) return native.call(Uint8Array, text);
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < bytes.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}

/** @param {string} text base64 of gzip */
function unpacked(text) {
  const stream = new Blob([decoded(text)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

/** The text of an inert script, which may not be parsed yet. @param {string} id @returns {Promise<string>} */
async function inert(id) {
  if (document.readyState === "loading" && !document.getElementById(id)?.nextElementSibling)
    await new Promise((resolve) => document.addEventListener("DOMContentLoaded", resolve, { once: true }));
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page lacks its part ${id}`);
  return found.textContent ?? "";
}

/** A block in a file of the folder. @param {number} number @returns {Promise<string>} */
function stored(number) {
  return new Promise((resolve, reject) => {
    waiting.set(number, resolve);
    const script = document.createElement("script");
    script.src = `data/b${number}.js`;
    script.onerror = () => reject(new Error(`data/b${number}.js is missing beside the page`));
    document.head.append(script);
    script.onload = () => script.remove();
  });
}

export async function load() {
  /** @type {any} */ (globalThis).lcrpBlock = (number, text) => {
    waiting.get(number)?.(text);
    waiting.delete(number);
  };
  const text = (id) => document.getElementById(id)?.textContent ?? "";
  const [packed, first] = await Promise.all([unpacked(text("index")), unpacked(text("b0"))]);
  core = first;
  index = JSON.parse(new TextDecoder().decode(packed));
}

/** An array of the first block; null if it is not there. @param {string} name @returns {any} */
export function array(name) {
  const entry = index.arrays[name];
  return entry ? view(entry, core) : null;
}

/** Arrays of a decision or a miss. @param {string} name @returns {Promise<{maps: Int8Array, shape: number[], mask: Uint8Array | null, maskShape: number[]}>} */
export async function decisionArrays(name) {
  const maps = index.arrays[`${name}.maps`];
  const mask = index.arrays[`${name}.mask`];
  if (!blocks.has(maps.block)) {
    const text = isFolder ? stored(maps.block) : inert(`b${maps.block}`);
    blocks.set(maps.block, text.then(unpacked));
  }
  const buffer = await /** @type {Promise<ArrayBuffer>} */ (blocks.get(maps.block));
  return { maps: view(maps, buffer), shape: maps.shape, mask: mask ? view(mask, buffer) : null, maskShape: mask?.shape ?? [] };
}

function view(/** @type {any} */ entry, /** @type {ArrayBuffer} */ buffer) {
  const count = entry.shape.reduce((/** @type {number} */ all, /** @type {number} */ one) => all * one, 1);
  return new KINDS[entry.type](buffer, entry.at, count);
}

/** A picture, decoded; those that were not asked for longest go. @param {number} number */
export function picture(number) {
  const known = pictures.get(number);
  if (known) {
    pictures.delete(number);
    pictures.set(number, known);
    return known;
  }
  const found = decodedPicture(number);
  pictures.set(number, found);
  if (pictures.size > MOST_PICTURES) {
    const [oldest, bitmap] = /** @type {[number, Promise<ImageBitmap>]} */ (pictures.entries().next().value);
    pictures.delete(oldest);
    bitmap.then((one) => setTimeout(() => one.close()), () => {}); // after those who wait for it have drawn it
  }
  return found;
}

/** @param {number} number */
async function decodedPicture(number) {
  if (!isFolder) return createImageBitmap(new Blob([decoded(await inert(`i${number}`))], { type: "image/webp" }));
  const image = new Image();
  await new Promise((resolve, reject) => {
    image.onload = resolve;
    image.onerror = reject;
    image.src = `pictures/i${number}.webp`;
  });
  const bitmap = await createImageBitmap(image);
  image.src = ""; // nothing but the bitmap is kept; decode() would keep the pixels in the browser's own cache, too
  return bitmap;
}
