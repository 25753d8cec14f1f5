/**
 * Time ranges: what "7 days" means now, how fine its chart is, what came before it. Pure: the time is passed in.
 * @module
 */

/** @typedef {import("./format.js").Period} Period */
/**
 * @typedef {object} Span a stretch of time, ms since 1970, end exclusive; null is an open side
 * @property {number | null} start
 * @property {number | null} end
 */
/**
 * @typedef {object} Range
 * @property {number | null} start
 * @property {number | null} end
 * @property {Period | null} period null until the extent of "all" is known
 * @property {Span | null} yesterday what to compare with, where that is not simply the preceding stretch of equal length
 */

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** Length of a bucket in ms; a month counts as its longest. @type {Record<Period, number>} */
export const SIZE = { minutely: MINUTE, hourly: HOUR, daily: DAY, weekly: 7 * DAY, monthly: 31 * DAY };
export const PERIODS = /** @type {Period[]} */ (Object.keys(SIZE));

/** The ranges on offer: name in the URL, short label, full label. @type {[string, string, string][]} */
export const CHOICES = [
  ["hour", "Hour", "Last hour"],
  ["today", "Today", "Today"],
  ["24h", "24h", "Last 24 hours"],
  ["7d", "7d", "Last 7 days"],
  ["30d", "30d", "Last 30 days"],
  ["90d", "90d", "Last 90 days"],
  ["12mo", "12mo", "Last 12 months"],
  ["all", "All", "All time"],
  ["custom", "Custom", "Custom range"],
];

/** @param {number} at @param {number} size */
const floor = (at, size) => Math.floor(at / size) * size;
/** @param {number} at @param {number} size */
const ceil = (at, size) => Math.ceil(at / size) * size;

/**
 * Ranges up to two days end with the current minute, longer ones with the current hour: the server reads whole hours from
 * its summaries, and the hour still to come holds nothing.
 * @param {string} name one of CHOICES
 * @param {number} now
 * @param {Span} custom what "custom" means
 * @returns {Range}
 */
export function resolve(name, now, custom) {
  const minute = ceil(now, MINUTE);
  const hour = ceil(now, HOUR);
  const today = floor(now, DAY); // UTC, as the server's days are
  switch (name) {
    case "hour":
      return made(minute - HOUR, minute, "minutely");
    case "today": {
      const midnight = new Date(now);
      midnight.setHours(0, 0, 0, 0);
      const before = new Date(midnight);
      before.setDate(before.getDate() - 1);
      const back = midnight.getTime() - before.getTime();
      const range = made(midnight.getTime(), minute, minute - midnight.getTime() < 2 * HOUR ? "minutely" : "hourly");
      return { ...range, yesterday: { start: before.getTime(), end: minute - back } };
    }
    case "24h":
      return made(floor(now, HOUR) - 23 * HOUR, minute, "hourly");
    case "7d":
      return made(hour - 7 * DAY, hour, "hourly");
    case "30d":
      return made(today - 29 * DAY, hour, "daily");
    case "90d":
      return made(today - 89 * DAY, hour, "daily");
    case "12mo":
      return made(today - ((new Date(today).getUTCDay() + 6) % 7) * DAY - 52 * 7 * DAY, hour, "weekly");
    case "custom":
      if (custom.start !== null && custom.end !== null) return made(custom.start, custom.end, fitting(custom.end - custom.start));
  }
  return { start: null, end: null, period: null, yesterday: null };
}

/** @param {number} start @param {number} end @param {Period} period @returns {Range} */
const made = (start, end, period) => ({ start, end, period, yesterday: null });

/**
 * The granularity that follows the range: some 30 to 200 points.
 * @param {number} length ms
 * @returns {Period}
 */
export function fitting(length) {
  if (length <= 3 * HOUR) return "minutely";
  if (length <= 8 * DAY) return "hourly";
  if (length <= 100 * DAY) return "daily";
  return length <= 800 * DAY ? "weekly" : "monthly";
}

/**
 * Granularities that make sense: at least two points, at most 1,500.
 * @param {number} length ms
 * @returns {Period[]}
 */
export const offered = (length) => PERIODS.filter((period) => length / SIZE[period] >= 2 && length / SIZE[period] <= 1_500);

/**
 * The neighbor, earlier (-1) or later (+1), in whole buckets.
 * @param {Span} span
 * @param {Period} period
 * @param {number} direction
 * @returns {Span}
 */
export function neighbor({ start, end }, period, direction) {
  if (start === null || end === null) return { start, end };
  const length = ceil(end - start, period === "monthly" ? DAY : SIZE[period]);
  const from = start + direction * length;
  return { start: from, end: from + length };
}

/** @param {number} start ms of a bucket @param {Period} period @returns {number} ms, where the next one begins */
export function following(start, period) {
  if (period !== "monthly") return start + SIZE[period];
  const date = new Date(start);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
}
