/**
 * Requests and errors, or latency percentiles, over time: drawn, and as a table behind the drawing.
 * @module
 */
import { now } from "./api.js";
import { announce, byId, fill, h } from "./dom.js";
import { bucket, count, duration, exact, percent, utcInterval } from "./format.js";
import { Plot, drawable } from "./plot.js";
import { following } from "./range.js";
import { go } from "./view.js";

/** @typedef {import("./report.js").Report} Report */
/** @typedef {import("./report.js").Point} Point */
/** @typedef {import("./plot.js").Line} Line */
/** @typedef {{points: Point[], starts: number[], ends: number[], report: Report, latency: boolean}} Shown */

/** @type {Plot | null} */
let plot = null;
/** @type {Shown | null} */
let shown = null;
/** The bucket under the cursor. @type {number | null} */
let at = null;

/**
 * @param {Report} report
 * @param {import("./view.js").View} view
 */
export function showChart(report, view) {
  const points = report.answer.time_series ?? [];
  const starts = points.map((point) => Date.parse(point.timestamp));
  const ends = starts.map((start) => following(start, report.period));
  const latency = view.chart === "latency";
  shown = { points, starts, ends, report, latency };
  for (const [id, on] of /** @type {[string, boolean][]} */ ([["show-traffic", !latency], ["show-latency", latency]])) {
    byId(id).setAttribute("aria-pressed", String(on));
  }
  const lines = latency ? latencies(points) : traffic(shown);
  fill(byId("legend"), ...lines.filter((line) => !line.label.startsWith("_")).map(key));
  byId("missing").hidden = drawable();
  byId("plot").hidden = !drawable();
  const behind = /** @type {HTMLDetailsElement} */ (byId("behind"));
  if (!drawable()) behind.open = true;
  if (behind.open) showBehind();
  if (!drawable()) return;
  const { period } = report;
  plot ??= new Plot(byId("plot"));
  plot.show({ period, starts, lines, show: latency ? (value) => (value ? duration(value) : "0") : count, hover, zoom });
}

/** Wire the section once. */
export function openChart() {
  byId("show-traffic").addEventListener("click", () => go({ chart: "traffic" }));
  byId("show-latency").addEventListener("click", () => go({ chart: "latency" }));
  byId("behind").addEventListener("toggle", showBehind);
  byId("canvas").addEventListener("keydown", steer);
  byId("canvas").addEventListener("blur", () => hover(null));
  byId("plot").addEventListener("mouseleave", () => hover(null));
}

/** @param {Shown} data @returns {Line[]} the last bucket is dashed while it is not over */
function traffic({ points, ends, report }) {
  const n = points.length;
  const open = n > 1 && ends[n - 1] > now();
  /** @param {(point: Point) => number} value @param {boolean} tail */
  const part = (value, tail) => points.map((point, i) => ((tail ? i >= n - 2 : !open || i < n - 1) ? value(point) : null));
  const requests = (/** @type {Point} */ point) => point.requests;
  const errors = (/** @type {Point} */ point) => point.errors_count;
  const before = report.previous?.time_series ?? [];
  const dash = [3, 4];
  return [
    ...(before.length ? [{ label: "Previous period", color: "--faint", width: 1.25, values: points.map((_, i) => before[i]?.requests ?? null) }] : []),
    { label: "Requests", color: "--accent", area: "--accent-area", values: part(requests, false) },
    { label: "Errors", color: "--bad", area: "--bad-area", values: part(errors, false) },
    ...(open
      ? [
          { label: "_requests", color: "--accent", dash, values: part(requests, true) },
          { label: "_errors", color: "--bad", dash, values: part(errors, true) },
        ]
      : []),
  ];
}

/** @param {Point[]} points @returns {Line[]} */
const latencies = (points) => [
  { label: "p50", color: "--p50", values: points.map((point) => point.p50) },
  { label: "p95", color: "--p95", values: points.map((point) => point.p95) },
  { label: "p99", color: "--p99", values: points.map((point) => point.p99) },
];

/** @param {Line} line */
const key = (line) => h("span", { class: "key" }, h("i", { css: { background: `var(${line.color})` } }), line.label);

/** @param {number | null} index show this bucket's numbers beside the cursor */
function hover(index) {
  at = index;
  const tip = byId("tip");
  tip.hidden = index === null || !shown?.points[index];
  if (tip.hidden || index === null || !shown || !plot) return;
  const { points, starts, ends, report, latency } = shown;
  const point = points[index];
  const before = report.previous?.time_series?.[index];
  fill(
    tip,
    h("b", null, bucket(starts[index], report.period)),
    h("small", null, utcInterval(starts[index], ends[index])),
    h("dl", null,
      ...(latency
        ? [pair("--p50", "p50", duration(point.p50)), pair("--p95", "p95", duration(point.p95)), pair("--p99", "p99", duration(point.p99))]
        : [
            pair("--accent", "Requests", exact(point.requests)),
            pair("--bad", "Errors", `${exact(point.errors_count)} · ${percent(share(point))}`),
            before && pair("--faint", "Previously", exact(before.requests)),
          ]),
    ),
    ends[index] > now() && h("small", null, "Not over yet"),
  ); // prettier-ignore
  const left = plot.left(index);
  const room = byId("plot").clientWidth;
  tip.style.left = `${left > room / 2 ? left - tip.offsetWidth - 14 : left + 14}px`;
}

/** @param {string} color @param {string} label @param {string} value */
const pair = (color, label, value) =>
  h("div", null, h("dt", { class: "key" }, h("i", { css: { background: `var(${color})` } }), label), h("dd", null, value));

/** @param {Point} point */
const share = (point) => (point.requests ? (point.errors_count / point.requests) * 100 : 0);

/** @param {number} from @param {number} to look only at these buckets */
function zoom(from, to) {
  if (!shown || to < from || (from === to && shown.report.period === "minutely")) return;
  go({ range: "custom", from: new Date(shown.starts[from]).toISOString(), to: new Date(shown.ends[to]).toISOString(), period: "" });
}

/** @param {KeyboardEvent} event arrows walk over the buckets, Enter zooms into one */
function steer(event) {
  if (!shown?.points.length || !plot) return;
  const last = shown.points.length - 1;
  const here = at ?? (event.key === "ArrowLeft" ? last + 1 : -1);
  const moves = /** @type {Record<string, number>} */ ({ ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: last });
  if (event.key === "Enter" && at !== null) return zoom(at, at);
  if (!(event.key in moves)) return;
  event.preventDefault();
  const to = Math.min(last, Math.max(0, moves[event.key]));
  plot.point(to);
  hover(to);
  const point = shown.points[to];
  announce(
    `${bucket(shown.starts[to], shown.report.period)}: ` +
      (shown.latency
        ? `p50 ${duration(point.p50)}, p95 ${duration(point.p95)}, p99 ${duration(point.p99)}`
        : `${exact(point.requests)} requests, ${exact(point.errors_count)} errors`),
  );
}

function showBehind() {
  if (!shown || !(/** @type {HTMLDetailsElement} */ (byId("behind")).open)) return;
  const { points, starts, ends, report } = shown;
  const heads = ["Time", "Requests", "Errors", "p50", "p95", "p99"];
  fill(
    byId("series"),
    h("table", null,
      h("caption", { class: "spoken" }, "Requests, errors and latency over time, newest first"),
      h("thead", null, h("tr", null, ...heads.map((name, i) => h("th", { scope: "col", class: i ? "number" : null }, name)))),
      h("tbody", null, ...points.map((point, i) =>
        h("tr", null,
          h("th", { scope: "row", title: utcInterval(starts[i], ends[i]) }, bucket(starts[i], report.period)),
          ...[exact(point.requests), exact(point.errors_count), duration(point.p50), duration(point.p95), duration(point.p99)]
            .map((text) => h("td", { class: "number" }, text)),
        )).reverse()),
    ),
  ); // prettier-ignore
}
