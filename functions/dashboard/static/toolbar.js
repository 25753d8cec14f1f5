/**
 * Range, granularity and filters above the numbers.
 * @module
 */
import { now } from "./api.js";
import { byId, fill, h } from "./dom.js";
import { coarse, duration, interval, zone } from "./format.js";
import { CHOICES, MINUTE, neighbor } from "./range.js";
import { FILTER, FILTERS, go, view } from "./view.js";

/** @typedef {import("./view.js").View} View */
/** @typedef {import("./report.js").Report} Report */

const NAMES = { minutely: "Minutes", hourly: "Hours", daily: "Days", weekly: "Weeks", monthly: "Months" };

/** What the toolbar was last shown for. @type {Report | null} */
let report = null;

/** Wire the toolbar once. */
export function openToolbar() {
  const select = /** @type {HTMLSelectElement} */ (byId("range-select"));
  select.append(...CHOICES.map(([name, , label]) => h("option", { value: name }, label)));
  select.addEventListener("change", () => choose(select.value));
  byId("ranges").append(
    ...CHOICES.map(([name, label, full]) =>
      h("button", { type: "button", title: full, "data-range": name, onclick: () => choose(name) }, label),
    ),
  );
  const period = /** @type {HTMLSelectElement} */ (byId("period"));
  period.addEventListener("change", () => go({ period: period.value }));
  byId("earlier").addEventListener("click", () => step(-1));
  byId("later").addEventListener("click", () => step(1));
  byId("custom").addEventListener("submit", (event) => {
    event.preventDefault();
    const from = Date.parse(field("from").value);
    const to = Date.parse(field("to").value);
    byId("custom-error").textContent = from < to ? "" : "The end must come after the start.";
    if (!(from < to)) return;
    byId("custom").hidden = true;
    go({ range: "custom", from: new Date(from).toISOString(), to: new Date(to).toISOString(), period: "" });
  });
  byId("custom-cancel").addEventListener("click", () => {
    byId("custom").hidden = true;
    showToolbar(view(), null);
  });
}

/**
 * @param {View} shown
 * @param {Report | null} latest null while a new answer is under way
 */
export function showToolbar(shown, latest) {
  report = latest ?? report;
  for (const button of byId("ranges").children) {
    button.setAttribute("aria-pressed", String(button.getAttribute("data-range") === shown.range));
  }
  /** @type {HTMLSelectElement} */ (byId("range-select")).value = shown.range;
  fill(
    byId("chips"),
    ...FILTERS.filter((name) => shown[name]).map((name) => chip(name, shown)),
    FILTERS.filter((name) => shown[name]).length > 1 &&
      h("button", { type: "button", class: "plain", onclick: clear }, "Clear all"),
  );
  byId("chips").hidden = !FILTERS.some((name) => shown[name]);
  if (!latest) return;
  const { start, end } = latest.span;
  const place = byId("interval");
  place.textContent = start === null || end === null ? "" : interval(start, end);
  place.title = `${start === null || end === null ? "" : `${new Date(start).toISOString()} – ${new Date(end).toISOString()}\n`}${
    coarse(latest.period) ? "Days begin at 00:00 UTC" : zone()
  }`;
  const later = start !== null && end !== null && end < now() - MINUTE;
  /** @type {HTMLButtonElement} */ (byId("later")).disabled = !later;
  /** @type {HTMLButtonElement} */ (byId("earlier")).disabled = start === null || shown.range === "all";
  const periods = latest.periods.includes(latest.period) ? latest.periods : [...latest.periods, latest.period];
  const period = /** @type {HTMLSelectElement} */ (byId("period"));
  if (document.activeElement === period && period.value === latest.period) return;
  fill(period, ...periods.map((name) => h("option", { value: name }, NAMES[name])));
  period.value = latest.period;
}

/** @param {string} range */
function choose(range) {
  if (range !== "custom") {
    byId("custom").hidden = true;
    return go({ range });
  }
  byId("custom").hidden = false;
  field("from").value = local(report?.span.start ?? now() - 60 * MINUTE);
  field("to").value = local(Math.min(report?.span.end ?? now(), Math.ceil(now() / MINUTE) * MINUTE));
  field("from").focus();
}

/** @param {number} direction */
function step(direction) {
  if (!report) return;
  const { start, end } = neighbor(report.span, report.period, direction);
  if (start === null || end === null) return;
  go({ range: "custom", from: new Date(start).toISOString(), to: new Date(end).toISOString(), period: view().period });
}

export const clear = () => go(Object.fromEntries(FILTERS.map((name) => [name, ""])));

/**
 * @param {import("./view.js").FilterName} name
 * @param {View} shown
 */
function chip(name, shown) {
  const logs = shown.tab === "logs";
  const { label, inLogs, logsOnly } = FILTER[name];
  const title = (logs && inLogs) || label;
  const value = name === "slower" ? duration(Number(shown.slower)) : shown[name];
  const elsewhere = !logs && logsOnly;
  return h(
    "span",
    { class: elsewhere ? "chip off" : "chip", title: elsewhere ? "Applies to the logs only" : null },
    `${title} `,
    h("b", null, value),
    elsewhere && " · logs only",
    h("button", { type: "button", "data-key": `chip-${name}`, "aria-label": `Remove filter ${title} ${value}`, onclick: () => go({ [name]: "" }) }, "×"),
  );
}

/** @param {string} id @returns {HTMLInputElement} */
const field = (id) => /** @type {HTMLInputElement} */ (byId(id));

/** @param {number} ms @returns {string} as <input type="datetime-local"> wants it */
function local(ms) {
  const date = new Date(ms);
  return new Date(ms - date.getTimezoneOffset() * MINUTE).toISOString().slice(0, 16);
}
