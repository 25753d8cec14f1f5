/**
 * Numbers, durations and moments as people read them. A no-value is always "–".
 * @module
 */

/** @typedef {number | null | undefined} Maybe */
/** @typedef {"minutely" | "hourly" | "daily" | "weekly" | "monthly"} Period */

const NONE = "–";
const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const plain = new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 });

/** @param {Maybe} value every digit: 12,345 */
export const exact = (value) => (value == null ? NONE : plain.format(value));

/** @param {Maybe} value 9,876 and 12.3K */
export const count = (value) => (value == null ? NONE : (Math.abs(value) < 10_000 ? whole : compact).format(value));

/** @param {Maybe} value a percentage 0–100, as "4.2%": two decimals below 1, and never 0% or 100% when that would be a lie */
export function percent(value) {
  if (value == null) return NONE;
  if (value > 0 && value < 0.01) return "<0.01%";
  if (value > 99.99 && value < 100) return ">99.99%";
  const digits = value !== 0 && (value < 1 || value > 99) && value !== 100 ? 2 : 1;
  return `${value.toLocaleString(undefined, { maximumFractionDigits: digits })}%`;
}

/** @param {Maybe} ms "4.1 µs", "0.42 ms", "142 ms", "1.24 s", "2.1 min" */
export function duration(ms) {
  if (ms == null) return NONE;
  const [value, unit] = ms > 0 && ms < 0.0995 ? [ms * 1_000, "µs"] : ms < 999.5 ? [ms, "ms"] : ms < 60_000 ? [ms / 1_000, "s"] : [ms / 60_000, "min"];
  const digits = value < 10 ? (value < 1 ? 2 : unit.endsWith("s") && unit !== "s" ? 1 : 2) : value < 100 && (unit === "s" || unit === "min") ? 1 : 0;
  return `${value.toLocaleString(undefined, { maximumFractionDigits: digits })}\u202f${unit}`;
}

/** @param {Maybe} change relative: 0.124 is "12.4%" without sign */
export function relative(change) {
  if (change == null) return NONE;
  const value = Math.abs(change) * 100;
  return value >= 1_000 ? `${compact.format(value / 100 + 1)}×` : `${value.toFixed(value < 10 ? 1 : 0)}%`;
}

/** @param {number} ms time since, as "4 s", "3 min", "2 h", "5 d" */
export function ago(ms) {
  const s = Math.max(0, Math.round(ms / 1_000));
  if (s < 60) return `${s}\u202fs`;
  if (s < 3_600) return `${Math.floor(s / 60)}\u202fmin`;
  return s < 172_800 ? `${Math.floor(s / 3_600)}\u202fh` : `${Math.floor(s / 86_400)}\u202fd`;
}

/**
 * A formatter for moments, made once for each shape.
 * @param {Intl.DateTimeFormatOptions} options
 */
function shape(options) {
  /** @type {Map<string, Intl.DateTimeFormat>} */
  const made = new Map();
  return (/** @type {number} */ ms, /** @type {boolean} */ utc = false) => {
    const zone = utc ? "UTC" : "local";
    if (!made.has(zone)) made.set(zone, new Intl.DateTimeFormat(undefined, { ...options, ...(utc && { timeZone: "UTC" }) }));
    return /** @type {Intl.DateTimeFormat} */ (made.get(zone)).format(ms);
  };
}

export const clock = shape({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
export const second = shape({ hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23" });
export const day = shape({ day: "numeric", month: "short" });
export const weekday = shape({ weekday: "short", day: "numeric", month: "short" });
export const dated = shape({ day: "numeric", month: "short", year: "numeric" });
export const month = shape({ month: "short", year: "numeric" });

/** @param {number} ms "2026-11-24 14:05 UTC", with seconds where they are not zero */
export function utc(ms) {
  const [date, time] = new Date(ms).toISOString().split("T");
  return `${date} ${time.startsWith("00:00:00.000") ? "00:00" : time.replace(/(:00)?(\.000)?Z$/, "")} UTC`;
}

/**
 * @param {number} start ms
 * @param {number} end ms
 * @returns {string} "2026-11-24 14:00 – 15:00 UTC", or whole dates where the stretch is made of whole UTC days
 */
export function utcInterval(start, end) {
  const date = (/** @type {number} */ ms) => new Date(ms).toISOString().slice(0, 10);
  const time = (/** @type {number} */ ms) => new Date(ms).toISOString().slice(11, 16);
  if (start % 86_400_000 === 0 && end % 86_400_000 === 0) {
    return end - start === 86_400_000 ? `${date(start)} UTC` : `${date(start)} – ${date(end - 1)} UTC`;
  }
  return `${date(start)} ${time(start)} – ${date(start) === date(end) ? "" : `${date(end)} `}${time(end)} UTC`;
}

/** @param {Period} period whether its buckets are UTC days or longer, so that local hours mean nothing on them */
export const coarse = (period) => period !== "minutely" && period !== "hourly";

/**
 * What a bucket of the time series is called.
 * @param {number} start ms
 * @param {Period} period
 */
export function bucket(start, period) {
  if (period === "monthly") return month(start, true);
  if (period === "weekly") return `Week of ${day(start, true)}`;
  if (period === "daily") return weekday(start, true);
  return `${weekday(start)}, ${clock(start)}`;
}

/**
 * A range as a reader's label, in the browser's time zone; whole UTC days stay dates.
 * @param {number} start ms
 * @param {number} end ms, exclusive
 */
export function interval(start, end) {
  if (start % 86_400_000 === 0 && end - start > 2 * 86_400_000) return `${dated(start, true)} – ${dated(end - 1, true)}`;
  const sameDay = dated(start) === dated(end - 1);
  return `${day(start)}, ${clock(start)} – ${sameDay ? "" : `${day(end)}, `}${clock(end)}`;
}

/** @returns {string} the browser's time zone, as "Europe/Berlin" */
export const zone = () => Intl.DateTimeFormat().resolvedOptions().timeZone;
