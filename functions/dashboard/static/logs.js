/**
 * Raw logs: newest first, page after page, as they come in, and as a file.
 * @module
 */
import { ask, nextPage, now } from "./api.js";
import { announce, byId, fill, h } from "./dom.js";
import { day, duration, exact, second, utc } from "./format.js";
import { resolve } from "./range.js";
import { FILTER, FILTERS, filters, go, toggle, view } from "./view.js";

/** @typedef {import("./view.js").View} View */
/** @typedef {import("./api.js").Body<"raw_logs">[number]} Log */

const PAGE = 100;
const EXPORT_PAGE = 1_000;
const EXPORT_MOST = 200_000; // rows: more than that is a job for curl, not for a browser's memory

/** @type {Record<string, string> | null} */
let older = null;
let busy = false;
/** Ids on the page. @type {Set<string>} */
let known = new Set();

const INPUTS = FILTERS.filter((name) => FILTER[name].input);

/** Wire the section once. */
export function openLogs() {
  byId("logs-filter").prepend(
    ...INPUTS.map((name) => h("input", { id: `filter-${name}`, name, autocomplete: "off", spellcheck: "false", ...FILTER[name].input })),
  );
  byId("older").addEventListener("click", more);
  new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && more(), { rootMargin: "400px" }).observe(byId("older"));
  byId("export").addEventListener("click", exportCsv);
  byId("logs-filter").addEventListener("submit", (event) => {
    event.preventDefault();
    const form = new FormData(/** @type {HTMLFormElement} */ (byId("logs-filter")));
    go(Object.fromEntries(INPUTS.map((name) => [name, String(form.get(name) ?? "").trim()])));
  });
}

/**
 * The query of a view. The end stays open while it is "now": what arrives next belongs to it.
 * @param {View} shown
 * @returns {import("./api.js").Query<"raw_logs">}
 */
export function logsQuery(shown) {
  const { start, end } = resolve(shown.range, now(), { start: Date.parse(shown.from), end: Date.parse(shown.to) });
  return {
    start_date: start === null ? "" : new Date(start).toISOString(),
    end_date: end === null || shown.range !== "custom" ? "" : new Date(end).toISOString(),
    ...filters(shown, true),
    process_time_min: shown.slower,
  };
}

/**
 * Show a view's logs, or, where they are on the page already, those that arrived since.
 * @param {View} shown
 * @param {AbortSignal} signal
 * @param {boolean} fresh whether to begin anew
 */
export async function showLogs(shown, signal, fresh) {
  const response = await ask("raw_logs", { query: { ...logsQuery(shown), limit: PAGE }, signal });
  const logs = await response.json();
  const young = logs.filter((log) => !known.has(log.id));
  const body = byId("log-rows");
  if (fresh || young.length === logs.length) {
    known = new Set();
    older = nextPage(response);
    fill(body, ...logs.map((log) => line(log, shown, false)));
    for (const name of fresh ? INPUTS : []) /** @type {HTMLInputElement} */ (byId(`filter-${name}`)).value = shown[name];
  } else {
    body.prepend(...young.map((log) => line(log, shown, true)));
  }
  for (const log of logs) known.add(log.id);
  settle();
}

/** The next page, when there is one and none is under way. */
async function more() {
  if (!older || busy || byId("logs").hidden) return;
  busy = true;
  settle();
  const from = older;
  try {
    const response = await ask("raw_logs", { query: from });
    if (older !== from) return;
    const logs = await response.json();
    byId("log-rows").append(...logs.filter((log) => !known.has(log.id)).map((log) => line(log, view(), false)));
    for (const log of logs) known.add(log.id);
    older = nextPage(response);
  } catch {
    announce("Older logs could not be loaded.");
    byId("log-state").textContent = "Older logs could not be loaded. Try again.";
    return;
  } finally {
    busy = false;
    byId("older").toggleAttribute("disabled", false);
  }
  settle();
}

/** Say how many there are, and whether there is more. */
function settle() {
  const rows = byId("log-rows").childElementCount;
  byId("older").hidden = !older;
  byId("older").toggleAttribute("disabled", busy);
  byId("log-state").textContent = rows ? `${exact(rows)} logs shown${older ? "" : ", the last of this view"}` : older ? "Looking further back…" : "No logs in this view.";
  byId("log-table").hidden = !rows;
  if (!rows && older && !busy) void more(); // a page may be empty while the search goes on
}

/**
 * @param {Log} log
 * @param {View} shown
 * @param {boolean} young
 */
function line(log, shown, young) {
  const at = Date.parse(log.created_at);
  const noted = FILTERS.filter((name) => FILTER[name].note).map((name) => log[/** @type {keyof Log} */ (name)]);
  const notes = noted.filter((text) => text && text !== log.endpoint).join(" · ");
  /** @param {keyof View} name @param {string} value @param {string} label @param {string} kind */
  const pick = (name, value, label, kind = "") =>
    h("button", { type: "button", class: `pick ${kind}`, title: `Filter by ${label} ${value}`, "aria-pressed": String(shown[name] === value), onclick: () => toggle({ [name]: value }) }, value);
  const level = log.status_code >= 500 ? "bad" : log.status_code >= 400 ? "fair" : "";
  return h(
    "tr",
    { class: young ? "young" : null },
    h("td", { class: "when", title: utc(at) }, h("span", { class: "soft" }, `${day(at)} `), second(at)),
    h("td", null, pick("status_code", String(log.status_code), "status", `status ${level}`)),
    h("td", null, pick("method", log.method, "method")),
    h("td", { class: "route" }, pick("endpoint", log.endpoint, "route", "code"), notes && h("small", { title: notes }, notes)),
    h("td", { class: "number" }, duration(log.process_time), (log.weight ?? 1) > 1 && h("small", { title: "This log stands for so many requests" }, ` ×${log.weight}`)),
    h("td", { class: "wide" }, log.ip ? pick("ip", log.ip, "client", "code") : "–"),
  ); // prettier-ignore
}

/** Everything in this view as one CSV file; cells that a spreadsheet would run are made inert by the server. */
async function exportCsv() {
  const button = byId("export");
  button.setAttribute("disabled", "");
  /** @type {string[]} */
  const parts = [];
  let rows = 0;
  try {
    /** @type {import("./api.js").Query<"raw_logs"> | null} */
    let query = { ...logsQuery(view()), limit: EXPORT_PAGE };
    while (query && rows < EXPORT_MOST) {
      const response = await ask("raw_logs", { query, accept: "text/csv" });
      const page = await response.text();
      parts.push(parts.length ? page.slice(page.indexOf("\n") + 1) : page); // the header row comes with every page
      rows += EXPORT_PAGE;
      query = nextPage(response);
      if (query) byId("export-state").textContent = `${exact(rows)} logs…`;
    }
    save(new Blob(parts, { type: "text/csv" }));
    byId("export-state").textContent = query ? `The newest ${exact(rows)} logs were exported; narrow the range for the rest.` : "Exported.";
  } catch (error) {
    byId("export-state").textContent = `Export failed. ${error instanceof Error ? error.message : ""}`;
  } finally {
    button.removeAttribute("disabled");
  }
}

/** @param {Blob} file */
function save(file) {
  const href = URL.createObjectURL(file);
  h("a", { href, download: `logs-${new Date(now()).toISOString().slice(0, 16).replace(/[:T]/g, "-")}.csv` }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}
