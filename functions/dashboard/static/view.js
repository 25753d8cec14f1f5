/**
 * What the reader looks at: range, filters, tab. It lives in the URL, so it can be sent to a colleague and gone back to.
 * The key is no part of it.
 * @module
 */
import { CHOICES, PERIODS } from "./range.js";

/**
 * @typedef {object} View
 * @property {string} range name of a range; `from` and `to` belong to "custom"
 * @property {string} from ISO 8601, UTC
 * @property {string} to
 * @property {string} period "" when it follows the range
 * @property {string} tab "overview" or "logs"
 * @property {string} chart "traffic" or "latency"
 * @property {string} method
 * @property {string} endpoint
 * @property {string} status_code
 * @property {string} consumer
 * @property {string} ip logs only
 * @property {string} slower logs only: at least this many ms
 */

/** @type {View} */
const PLAIN = {
  range: "24h", from: "", to: "", period: "", tab: "overview", chart: "traffic",
  method: "", endpoint: "", status_code: "", consumer: "", ip: "", slower: "",
}; // prettier-ignore

/** Filters in the order of their chips. @type {(keyof View)[]} */
export const FILTERS = ["method", "endpoint", "status_code", "consumer", "ip", "slower"];

/**
 * @param {string} search the URL's query; what is not understood falls back to the plain view
 * @returns {View}
 */
export function read(search) {
  const given = new URLSearchParams(search);
  const view = { ...PLAIN };
  for (const name of /** @type {(keyof View)[]} */ (Object.keys(PLAIN))) view[name] = given.get(name) ?? PLAIN[name];
  if (!CHOICES.some(([name]) => name === view.range)) view.range = PLAIN.range;
  if (view.period && !PERIODS.some((name) => name === view.period)) view.period = "";
  if (view.tab !== "logs") view.tab = PLAIN.tab;
  if (view.chart !== "latency") view.chart = PLAIN.chart;
  if (view.range !== "custom") view.from = view.to = "";
  else if (!(Date.parse(view.from) < Date.parse(view.to))) Object.assign(view, { range: PLAIN.range, from: "", to: "" });
  return view;
}

/** @param {View} view @returns {string} its query: only what differs from the plain view */
export function write(view) {
  const query = new URLSearchParams();
  for (const name of /** @type {(keyof View)[]} */ (Object.keys(PLAIN))) if (view[name] !== PLAIN[name]) query.set(name, view[name]);
  return query.size ? `?${query}` : "";
}

/** @type {Set<(view: View) => void>} */
const watchers = new Set();

/** @param {(view: View) => void} watcher called after every change */
export const watch = (watcher) => watchers.add(watcher);

/** @returns {View} */
export const view = () => read(location.search);

/**
 * Look at something else: a new entry in the browser's history.
 * @param {Partial<View>} change
 */
export function go(change) {
  const next = { ...view(), ...change };
  if (change.range && change.period === undefined) next.period = "";
  const query = write(read(write(next)));
  if (query === write(view())) return;
  history.pushState(null, "", location.pathname + query);
  tell();
}

/** @param {Partial<View>} filter set, or taken off again where it is set already */
export function toggle(filter) {
  const current = view();
  const names = /** @type {(keyof View)[]} */ (Object.keys(filter));
  go(Object.fromEntries(names.map((name) => [name, current[name] === filter[name] ? "" : filter[name]])));
}

const tell = () => watchers.forEach((watcher) => watcher(view()));
addEventListener("popstate", tell);
