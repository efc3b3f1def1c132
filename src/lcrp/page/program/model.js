/** What the data say: layers, concepts, decisions, as the views ask for them. */

import { array, index } from "./data.js";
import { named } from "./address.js";

/** @typedef {{sample: number, classId: number, item: number, score: number, box: number[] | null, image: number | undefined, place: number}} Reference a crop lies at a place of an image, if it is there */

/** References from their columns, those of one list. @param {(name: string) => any} get @param {number} list @param {number | undefined} image @returns {Reference[]} */
function referencesOf(get, list, image) {
  const start = get("start");
  const [sample, classId, item, score, box] = ["sample", "class_id", "item", "score", "box"].map(get);
  return Array.from({ length: start[list + 1] - start[list] }, (_, place) => {
    const at = start[list] + place;
    return { sample: sample[at], classId: classId[at], item: item[at], score: score[at], box: Number.isNaN(box[4 * at]) ? null : [...box.subarray(4 * at, 4 * at + 4)], image, place };
  });
}

export class Layer {
  /** @param {any} entry @param {number} number */
  constructor(entry, number) {
    this.number = number;
    this.name = /** @type {string} */ (entry.name);
    this.size = /** @type {number} */ (entry.num_concepts);
    this.images = entry.images;
    this.further = entry.further;
    this.likeDecisions = entry.like_decisions;
    this.proposed = /** @type {{names: string[], decisions: number} | null} */ (entry.proposed ?? null);
    this.classIds = /** @type {number[]} */ ([...this.get("class_ids")]);
    this.count = /** @type {Int32Array} */ (this.get("count"));
    this.mean = /** @type {Float64Array} */ (this.get("mean"));
    this.deviation = /** @type {Float64Array} */ (this.get("deviation"));
  }

  /** @param {string} name */
  get(name) {
    return array(`l${this.number}.${name}`);
  }

  /** Mean share of a concept in decisions for a class (by its row). */
  share(/** @type {number} */ row, /** @type {number} */ concept) {
    return this.mean[row * this.size + concept];
  }

  /** The class for which a concept counts most, and how much. */
  best(/** @type {number} */ concept) {
    let row = 0;
    for (let other = 1; other < this.classIds.length; other++) if (this.share(other, concept) > this.share(row, concept)) row = other;
    return { row, classId: this.classIds[row], share: this.classIds.length ? this.share(row, concept) : NaN };
  }

  /** Concepts by what they count for a class, or for any. @param {number | null} row */
  ranked(row) {
    const key = row ?? -1;
    this.orders ??= new Map();
    if (!this.orders.has(key)) {
      const value = Float64Array.from({ length: this.size }, (_, concept) => (row === null ? this.best(concept).share : this.share(row, concept)));
      this.orders.set(key, [...value.keys()].sort((a, b) => value[b] - value[a] || a - b));
    }
    return /** @type {number[]} */ (this.orders.get(key));
  }

  /** @param {number} concept @returns {Reference[]} */
  references(concept) {
    return referencesOf((name) => this.get(`ref.${name}`), concept, this.images[concept]);
  }

  /** Classes of which a concept has references of its own. @param {number} concept @returns {Map<number, number>} their lists */
  ownClasses(concept) {
    if (!this.own) {
      this.own = /** @type {Map<number, Map<number, number>>} */ (new Map());
      const classes = this.get("own.class");
      this.get("own.concept").forEach((/** @type {number} */ one, /** @type {number} */ list) => this.own.set(one, (this.own.get(one) ?? new Map()).set(classes[list], list)));
    }
    return this.own.get(concept) ?? new Map();
  }

  /** The references of one class, best first: of its own ranking, and those among the concept's first ones. @param {number} concept @param {number} classId */
  referencesOfClass(concept, classId) {
    const list = this.ownClasses(concept).get(classId);
    const found = this.references(concept).filter((one) => one.classId === classId);
    if (list === undefined) return found;
    const start = this.get("own.start")[list];
    const places = this.get("own.place");
    const own = referencesOf((name) => this.get(`own.${name}`), list, this.further[concept]).map((one) => ({ ...one, place: places[start + one.place] }));
    return [...found, ...own.filter((one) => one.place < 0).map((one) => ({ ...one, place: -1 - one.place }))].sort((a, b) => b.score - a.score);
  }

  /** The decisions in which a concept counts most. @param {number} concept */
  top(concept) {
    const filled = this.get("top.filled");
    const width = this.get("top.score").length / this.size;
    const [score, sample, classId, item] = ["score", "sample", "class_id", "item"].map((name) => this.get(`top.${name}`));
    return Array.from({ length: filled[concept] }, (_, rank) => {
      const at = concept * width + rank;
      return { score: score[at], sample: sample[at], classId: classId[at], item: item[at] };
    });
  }

  /** Context scores, one a class and concept. @returns {{classId: number, concept: number, context: number, low: number, high: number, sensitivity: number}[]} */
  context() {
    if (!this.get("context.concept")) return [];
    const [classId, concept, context, low, high, sensitivity] = ["class_id", "concept", "context", "low", "high", "sensitivity"].map((name) => this.get(`context.${name}`));
    this.pairs ??= Array.from(concept, (one, at) => ({ classId: classId[at], concept: /** @type {number} */ (one), context: context[at], low: low[at], high: high[at], sensitivity: sensitivity[at] }));
    return this.pairs;
  }

  /** The name that fits a concept best, and how well. @param {number} concept */
  proposal(concept) {
    if (!this.proposed) return null;
    const [fits, value, auroc, low, high] = ["fits", "value", "auroc_value", "auroc_low", "auroc_high"].map((name) => this.get(`proposed.${name}`)[concept]);
    return { name: /** @type {string} */ (this.proposed.names[concept]), fits: Boolean(fits), value, auroc, low, high };
  }

  /** Concepts that come and go with one. @param {number} concept */
  alike(concept) {
    const ids = this.get("like.concept");
    if (!ids) return [];
    const width = ids.length / this.size;
    const r = this.get("like.correlation");
    return Array.from({ length: width }, (_, at) => ({ concept: ids[concept * width + at], r: r[concept * width + at] })).filter((one) => one.concept >= 0);
  }
}

/** @type {Layer[]} */
export let layers = [];
/** @type {any[]} */
export let decisions = [];
/** Missed objects that are explained, as decisions are. @type {any[]} */
export let misses = [];
/** @type {Map<string, number>} */
export const decisionById = new Map();

export function prepare() {
  layers = index.layers.map((/** @type {any} */ entry, /** @type {number} */ number) => new Layer(entry, number));
  decisions = index.decisions;
  decisions.forEach((one, number) => {
    one.number = number;
    decisionById.set(one.id, number);
  });
  misses = index.misses;
}

/** References of a concept of the other statistics file. @param {number} concept */
export const otherReferences = (concept) => referencesOf((name) => array(`other.ref.${name}`), concept, index.other.images[concept]);

export const className = (/** @type {number} */ id) => index.classes[id] ?? "";

/** The layer of explained decisions. */
export const decisionLayer = () => layers[index.layer ?? 0];

/** The layer of a decision's or a miss's concepts; only its name where its concepts are not on this page. @param {any} one @returns {Layer} */
export const layerOf = (one) => layers.find((layer) => layer.name === one.facts.layer) ?? /** @type {any} */ ({ number: -1, name: one.facts.layer, proposal: () => null });

/** A concept's name if it has one, and its number; one that is only proposed has a question mark. @param {Layer} layer @param {number} concept */
export function conceptName(layer, concept) {
  const name = named(layer, concept);
  if (name) return `${name} (c${concept})`;
  const proposed = layer.proposal(concept);
  return proposed?.fits ? `${proposed.name}? (c${concept})` : `c${concept}`;
}

/** Share of a concept of the decisions' layer in a decision. @param {number} number @param {number} concept */
export function shareIn(number, concept) {
  const shares = array("d.shares");
  if (shares) return shares[number * decisionLayer().size + concept];
  return decisions[number].facts.concepts.find((/** @type {any} */ one) => one.concept === concept)?.share ?? NaN;
}

/** hit, false alarm, missed or unlabelled. @param {any} one */
export const verdict = (one) => (one.missed ? "missed" : one.alarm ? "false alarm" : one.facts.annotated?.verdict ?? "unlabelled");

/**
 * How much of the evidence lies outside the object, by class: as stage=context measured it, else of the explained decisions.
 * @returns {{classId: number, outside: number, low: number | null, high: number | null, area: number, count: number, isMeasured: boolean}[]}
 */
export function outsideByClass() {
  const table = index.findings.find((/** @type {any} */ one) => one.name === "context")?.tables.find((/** @type {any} */ one) => one.name === "classes");
  if (table) {
    const at = (/** @type {string} */ name) => table.columns.indexOf(name);
    const seen = new Map();
    for (const row of table.rows)
      if (!seen.has(row[at("class_id")]))
        seen.set(row[at("class_id")], {
          classId: row[at("class_id")], outside: row[at("outside")], low: row[at("outside_low")], high: row[at("outside_high")],
          area: row[at("outside_area")], count: row[at("num_detections")], isMeasured: true,
        });
    return [...seen.values()];
  }
  const groups = Map.groupBy ? Map.groupBy(decisions, (one) => one.facts.class_id) : grouped();
  return [...groups].map(([classId, some]) => {
    const mean = (/** @type {string} */ name) => some.reduce((/** @type {number} */ sum, /** @type {any} */ one) => sum + one.facts[name], 0) / some.length;
    return { classId, outside: mean("outside"), low: null, high: null, area: mean("outside_area"), count: some.length, isMeasured: false };
  });
}

function grouped() {
  const groups = new Map();
  for (const one of decisions) groups.set(one.facts.class_id, [...(groups.get(one.facts.class_id) ?? []), one]);
  return groups;
}

/** How much of each concept's relevance lies outside the object in the explained decisions, weighted by its share. */
export function outsideOfConcepts() {
  /** @type {Map<number, {sum: number, weight: number, count: number}>} */
  const found = new Map();
  for (const decision of decisions)
    for (const one of decision.facts.concepts) {
      if (!(one.share > 0)) continue;
      const known = found.get(one.concept) ?? { sum: 0, weight: 0, count: 0 };
      found.set(one.concept, { sum: known.sum + one.share * one.outside, weight: known.weight + one.share, count: known.count + 1 });
    }
  return [...found].map(([concept, one]) => ({ concept, outside: one.sum / one.weight, count: one.count }));
}

/** Rows of a table of a stage; nothing where there is none. @param {string} stage @param {string} name @returns {Record<string, any>[] | undefined} */
export function tableRows(stage, name) {
  const table = index.findings.find((/** @type {any} */ one) => one.name === stage)?.tables.find((/** @type {any} */ one) => one.name === name);
  return table?.rows.map((/** @type {any[]} */ row) => Object.fromEntries(table.columns.map((/** @type {string} */ column, /** @type {number} */ at) => [column, row[at]])));
}
