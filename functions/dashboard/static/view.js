/**
 * What the reader looks at: range, filters, tab. It lives in the URL, so it can be sent to a colleague and gone back to.
 * The key is no part of it.
 * @module
 */
import { CHOICES, PERIODS } from "./range.js";

/** @typedef {import("./api.js").Query<"raw_logs">} LogsQuery */
/**
 * @typedef {object} Filter
 * @property {string} label of its chip
 * @property {string} [inLogs] label in the tab of the logs, where that is another
 * @property {boolean} [logsOnly] whether it does not apply to the overview
 * @property {boolean} [note] whether a log's value stands below its route
 * @property {Record<string, string>} [input] attributes of its input above the logs; without them there is none
 */
/** @typedef {Exclude<keyof LogsQuery, "start_date" | "end_date" | "limit" | "cursor" | `process_time_${string}`> | "slower"} FilterName */

/**
 * Every filter by its name, in the order of the chips: one for each text, number or name that /raw_logs can be asked for.
 * URL, queries, chips, inputs and notes are made of this; `npm run check` fails where openapi.json has a filter more.
 * @satisfies {Record<FilterName, Filter>}
 */
const DECLARED = {
  method: { label: "Method" },
  endpoint: { label: "Route", inLogs: "Route contains", input: { "aria-label": "Route contains", placeholder: "Route contains", maxlength: "512" } },
  status_code: { label: "Status" },
  path: { label: "Path", logsOnly: true, note: true },
  consumer: { label: "Consumer", note: true },
  user_agent: { label: "User agent", logsOnly: true, note: true },
  ip: { label: "Client", logsOnly: true, input: { "aria-label": "Client address", placeholder: "Client address", maxlength: "64" } },
  slower: { label: "At least", logsOnly: true, input: { "aria-label": "At least this many milliseconds", placeholder: "≥ ms", type: "number", min: "0", step: "any" } },
}; // prettier-ignore

/** @type {Record<FilterName, Filter>} */
export const FILTER = DECLARED;
export const FILTERS = /** @type {FilterName[]} */ (Object.keys(DECLARED));

/**
 * @typedef {object} Place
 * @property {string} range name of a range; `from` and `to` belong to "custom"
 * @property {string} from ISO 8601, UTC
 * @property {string} to
 * @property {string} period "" when it follows the range
 * @property {string} tab "overview" or "logs"
 * @property {string} chart "traffic" or "latency"
 */
/** @typedef {Place & Record<FilterName, string>} View `slower` is at least this many ms; an empty filter lets all pass */

/** @type {View} */
const PLAIN = {
  range: "24h", from: "", to: "", period: "", tab: "overview", chart: "traffic",
  .../** @type {Record<FilterName, string>} */ (Object.fromEntries(FILTERS.map((name) => [name, ""]))),
}; // prettier-ignore

/**
 * The filters of a view as parameters of a query.
 * @param {View} view
 * @param {boolean} logs whether the question is about logs
 * @returns {Omit<Record<FilterName, string>, "slower">}
 */
export function filters(view, logs) {
  const names = FILTERS.filter((name) => name !== "slower" && (logs || !FILTER[name].logsOnly));
  return /** @type {Record<FilterName, string>} */ (Object.fromEntries(names.map((name) => [name, view[name]])));
}

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
