/**
 * The page: who is signed in, what is looked at, when it is asked for again.
 * @module
 */
import { Failed, Refused, Unreachable, now } from "./api.js";
import { openChart, showChart } from "./chart.js";
import { showDelivery, tickDelivery } from "./delivery.js";
import { announce, byId, fill, h } from "./dom.js";
import { ago } from "./format.js";
import { openLogs, showLogs } from "./logs.js";
import { ever, load } from "./report.js";
import { forget, hint, key } from "./session.js";
import { showTables } from "./tables.js";
import { showTiles } from "./tiles.js";
import { clear, openToolbar, showToolbar } from "./toolbar.js";
import { FILTER, FILTERS, go, view, watch } from "./view.js";
import { openWelcome, showFirstRun, showWelcome } from "./welcome.js";

const REFRESH = 10_000; // ms
const TAIL = 2_000; // ms, while the logs are followed live
const RETRY = 5_000; // ms after a failure that names no time of its own

let controller = new AbortController();
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
/** When the numbers on the page were true, ms. */
let updated = 0;
/** When the next try after a failure is due, ms. */
let due = 0;
let tail = false;
/** The answer on the page, as text: the same one is not shown twice. */
let shown = "";
/** The query that the page shows; null before it shows any. @type {string | null} */
let place = null;

function enter() {
  document.body.dataset.state = "in";
  byId("key-hint").textContent = hint();
  place = null;
  shown = "";
  updated = 0;
  showTiles(null, null, {});
  void refresh();
}

/** @param {string} [message] */
function leave(message) {
  controller.abort();
  clearTimeout(timer);
  forget();
  place = null;
  shown = "";
  for (const id of ["tiles", "legend", "endpoints", "statuses", "methods", "clients", "consumers", "delivery", "log-rows", "series"]) fill(byId(id));
  showWelcome(message);
}

/** Ask for what is looked at, show it, and plan the next time. */
async function refresh() {
  clearTimeout(timer);
  controller.abort();
  const mine = (controller = new AbortController());
  const current = view();
  const fresh = place !== location.search;
  const app = byId("app");
  if (fresh) app.setAttribute("aria-busy", "true");
  byId("overview").hidden = current.tab !== "overview";
  byId("logs").hidden = current.tab !== "logs";
  byId("period").hidden = current.tab === "logs";
  for (const name of ["overview", "logs"]) byId(`tab-${name}`).setAttribute("aria-current", current.tab === name ? "page" : "false");
  showToolbar(current, null);
  let wait = tail && current.tab === "logs" ? TAIL : REFRESH;
  try {
    const report = await load(current, mine.signal);
    if (current.tab === "logs") await showLogs(current, mine.signal, fresh);
    if (mine.signal.aborted) return;
    if (!(await show(report, current, fresh))) return;
    place = location.search;
    updated = now();
    notice(null);
    tick();
  } catch (error) {
    if (mine.signal.aborted) return;
    if (error instanceof Refused) return leave("The server no longer knows this key. Sign in with another one, or create one.");
    wait = failed(error);
    place = null;
  } finally {
    if (!mine.signal.aborted) app.removeAttribute("aria-busy");
  }
  if (!document.hidden && Number.isFinite(wait)) timer = setTimeout(refresh, wait);
}

/**
 * @param {import("./report.js").Report} report
 * @param {import("./view.js").View} current
 * @param {boolean} fresh
 * @returns {Promise<boolean>} false when there is nothing to show yet, ever
 */
async function show(report, current, fresh) {
  const { answer, previous } = report;
  const total = answer.summary.total_requests;
  const filtered = FILTERS.some((name) => current[name] && !FILTER[name].logsOnly);
  if (total === 0 && !filtered && (current.range === "all" || (fresh && !(await ever(controller.signal))))) {
    showFirstRun(false);
    return false;
  }
  showToolbar(current, report);
  showDelivery(answer.delivery, answer.range?.complete !== false);
  const text = JSON.stringify([answer, previous?.summary]);
  if (text === shown && !fresh) return true;
  shown = text;
  showTiles(answer.summary, previous?.summary ?? null, answer.unavailable ?? {});
  byId("empty").hidden = total !== 0; // null: not known, and the notice above says why
  byId("numbers").hidden = !total;
  byId("empty-filters").hidden = !filtered;
  byId("empty-all").hidden = current.range === "all";
  if (total && current.tab === "overview") {
    showChart(report, current);
    showTables(answer, current);
  }
  if (fresh && total !== null) announce(`${total.toLocaleString()} requests`);
  return true;
}

/**
 * Say what went wrong and what helps.
 * @param {unknown} error
 * @returns {number} ms until the next try
 */
function failed(error) {
  const asked = error instanceof Failed && error.status >= 400 && error.status < 500 && error.status !== 429;
  const wait = error instanceof Failed && error.retryAfter ? error.retryAfter * 1_000 : RETRY;
  if (error instanceof Unreachable) notice(error.message, wait);
  else if (error instanceof Failed) notice(error.message, asked ? null : wait);
  else {
    notice("The page could not show the answer.", wait);
    console.error(error);
  }
  return asked ? Infinity : wait;
}

/**
 * @param {string | null} message null: all is well
 * @param {number | null} [wait] ms until the next try; null when trying again would not help
 */
function notice(message, wait = null) {
  const bar = byId("notice");
  bar.hidden = message === null;
  byId("app").toggleAttribute("data-stale", message !== null);
  due = message !== null && wait !== null ? Date.now() + wait : 0;
  if (message === null) return fill(bar);
  fill(
    bar,
    h("span", { role: "alert" }, message),
    h("span", { id: "countdown" }),
    wait === null
      ? h("button", { type: "button", onclick: () => location.assign(location.pathname) }, "Back to the plain view")
      : h("button", { type: "button", onclick: () => refresh() }, "Try now"),
  );
  tick();
}

function tick() {
  const countdown = document.getElementById("countdown");
  if (countdown && due) countdown.textContent = `Next try in ${Math.max(0, Math.ceil((due - Date.now()) / 1_000))} s`;
  byId("updated").textContent = updated ? `${ago(now() - updated)} ago` : "";
  tickDelivery();
}

openToolbar();
openChart();
openLogs();
openWelcome(enter);
watch(() => document.body.dataset.state === "in" && refresh());
byId("forget").addEventListener("click", () => leave());
byId("forget-first").addEventListener("click", () => leave());
byId("tab-overview").addEventListener("click", () => go({ tab: "overview" }));
byId("tab-logs").addEventListener("click", () => go({ tab: "logs" }));
byId("empty-all").addEventListener("click", () => go({ range: "all" }));
byId("empty-filters").addEventListener("click", clear);
byId("tail").addEventListener("click", () => {
  tail = !tail;
  byId("tail").setAttribute("aria-pressed", String(tail));
  void refresh();
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) clearTimeout(timer);
  else if (document.body.dataset.state === "in") void refresh();
});
setInterval(tick, 1_000);
if (key()) enter();
else showWelcome();
