/**
 * The numbers behind the page: one answer of /dashboard, and the one for the time before it.
 * @module
 */
import { ask, now } from "./api.js";
import { MOST } from "./table.js";
import { fitting, following, offered, resolve, SIZE } from "./range.js";
import { filters } from "./view.js";

/** @typedef {import("./format.js").Period} Period */
/** @typedef {import("./format.js").Maybe} Maybe */
/** @typedef {import("./range.js").Span} Span */
/** @typedef {import("./view.js").View} View */
/** @typedef {import("./api.js").Body<"dashboard">} Answer a block that cannot be told is null, its reason stands in `unavailable` */
/** @typedef {Answer["summary"]} Summary */
/** @typedef {Answer["time_series"][number]} Point */
/** @typedef {Answer["delivery"]} Delivery */
/**
 * @typedef {object} Report
 * @property {Answer} answer
 * @property {Pick<Answer, "summary" | "time_series"> | null} previous
 * @property {Span} span what was asked; for all time, from the first to the last bucket
 * @property {Period} period
 * @property {Period[]} periods on offer for this span
 */

/**
 * @param {View} view
 * @param {AbortSignal} signal
 * @returns {Promise<Report>}
 */
export async function load(view, signal) {
  const range = resolve(view.range, now(), { start: Date.parse(view.from), end: Date.parse(view.to) });
  const wanted = /** @type {Period} */ (view.period) || range.period;
  /** @param {Span} span @param {Period} period @param {string} [compare] @returns {Promise<Answer>} */
  const get = async ({ start, end }, period, compare) => {
    const query = { start_date: iso(start), end_date: iso(end), period, top: MOST, ...filters(view, false), compare };
    return (await ask("dashboard", { query, signal })).json();
  };
  if (range.start === null || range.end === null) return everything(get, wanted);

  const period = wanted ?? fitting(range.end - range.start);
  const periods = offered(range.end - range.start);
  if (!range.yesterday) {
    const answer = await get(range, period, "previous");
    return { answer, previous: answer.previous ?? null, span: range, period, periods };
  }
  const [answer, previous] = await Promise.all([get(range, period), get(range.yesterday, period)]);
  return { answer, previous, span: range, period, periods };
}

/**
 * All time: nobody knows yet how long that is. Days are asked for first, and finer or coarser points where they fit better.
 * @param {(span: Span, period: Period) => Promise<Answer>} get
 * @param {Period | null} wanted
 * @returns {Promise<Report>}
 */
async function everything(get, wanted) {
  const open = { start: null, end: null };
  let period = wanted ?? "daily";
  let answer = await get(open, period);
  for (const finest of /** @type {Period[]} */ (wanted ? [] : ["hourly", "minutely"])) {
    const better = fitting(length(answer, period));
    if (SIZE[better] > SIZE.daily) {
      period = better;
      answer = await get(open, period);
      break;
    }
    if (SIZE[better] >= SIZE[period]) break;
    period = finest;
    answer = await get(open, period);
  }
  const points = answer.time_series ?? [];
  const span = points.length
    ? { start: Date.parse(points[0].timestamp), end: following(Date.parse(points[points.length - 1].timestamp), period) }
    : open;
  return { answer, previous: null, span, period, periods: offered(length(answer, period)) };
}

/** @param {Answer} answer @param {Period} period @returns {number} ms that the series covers */
const length = (answer, period) => (answer.time_series?.length ?? 0) * SIZE[period];

/** @param {number | null} ms @returns {string | null} */
const iso = (ms) => (ms === null ? null : new Date(ms).toISOString());

/** @param {AbortSignal} [signal] @returns {Promise<boolean>} whether this key has ever stored a request */
export async function ever(signal) {
  const answer = await ask("dashboard", { query: { period: "monthly", top: 1 }, signal });
  return (await answer.json()).summary.total_requests !== 0;
}

/** @param {Maybe} value @param {Maybe} before @returns {number | null} relative change; null where it means nothing */
export const change = (value, before) => (value == null || !before ? null : (value - before) / before);
