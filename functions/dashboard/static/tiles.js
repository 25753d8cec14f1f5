/**
 * Six numbers that tell how the API is doing, each beside what it was before.
 * @module
 */
import { byId, fill, h } from "./dom.js";
import { count, duration, exact, percent, relative } from "./format.js";
import { change } from "./report.js";

/** @typedef {import("./report.js").Summary} Summary */
/**
 * @typedef {object} Tile
 * @property {keyof Summary} field
 * @property {string} label
 * @property {(value: import("./format.js").Maybe) => string} show
 * @property {string} about
 * @property {boolean} [burden] more of it is worse
 */

/** @type {Tile[]} */
const TILES = [
  { field: "total_requests", label: "Requests", show: count, about: "All requests in the range" },
  { field: "unique_ips", label: "Unique clients", show: count, about: "Different IP addresses" },
  { field: "error_rate", label: "Error rate", show: percent, about: "Share of answers with status 400 to 599", burden: true },
  { field: "p50", label: "p50", show: duration, about: "Half of all requests were answered at least this fast", burden: true },
  { field: "p95", label: "p95", show: duration, about: "95% of requests were answered at least this fast", burden: true },
  { field: "p99", label: "p99", show: duration, about: "99% of requests were answered at least this fast", burden: true },
];

/** A relative change that deserves a color; below it is mostly chance. */
const NOTABLE = 0.1;

/**
 * @param {Summary | null} summary null while nothing is known yet
 * @param {Summary | null} before
 * @param {Record<string, string>} unavailable
 */
export function showTiles(summary, before, unavailable) {
  fill(byId("tiles"), ...TILES.map((tile) => one(tile, summary, before, unavailable)));
}

/**
 * @param {Tile} tile
 * @param {Summary | null} summary
 * @param {Summary | null} before
 * @param {Record<string, string>} unavailable
 */
function one(tile, summary, before, unavailable) {
  const value = summary?.[tile.field];
  const reason = summary && value == null ? (unavailable[`summary.${tile.field}`] ?? unavailable[tile.field]) : undefined;
  const full = tile.show === count ? exact(value) : tile.show(value);
  return h(
    "div",
    { class: "tile", "data-tile": tile.field },
    h("dt", { title: tile.about }, tile.label),
    h("dd", null,
      h("span", { class: summary ? "value" : "value waiting", title: value == null ? null : full }, tile.show(value)),
      reason ? h("span", { class: "reason" }, reason) : before && compared(tile, value, before[tile.field]),
    ),
  ); // prettier-ignore
}

/**
 * @param {Tile} tile
 * @param {import("./format.js").Maybe} value
 * @param {import("./format.js").Maybe} before
 */
function compared(tile, value, before) {
  const moved = change(value, before);
  const title = `Before: ${tile.show === count ? exact(before) : tile.show(before)}`;
  if (moved === null) return before || !value ? null : h("span", { class: "change", title }, "nothing before");
  const shown = relative(moved);
  const still = shown === relative(0);
  const mood = Math.abs(moved) < NOTABLE || !tile.burden ? "" : moved > 0 ? " worse" : " better";
  return h(
    "span",
    { class: `change${mood}`, title },
    h("span", { "aria-hidden": "true" }, still ? "→ " : moved > 0 ? "↑ " : "↓ "),
    h("span", { class: "spoken" }, still ? "unchanged, " : moved > 0 ? "up " : "down "),
    shown,
  );
}
