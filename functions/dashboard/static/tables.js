/**
 * The page's five tables: endpoints, status codes, methods, clients, consumers.
 * @module
 */
import { byId } from "./dom.js";
import { count, duration, exact, percent } from "./format.js";
import { showTable } from "./table.js";
import { go, toggle } from "./view.js";

/** @typedef {import("./report.js").Answer} Answer */
/** @typedef {import("./view.js").View} View */
/** @typedef {{name: string, requests: number}} Counted */

/** What the commonest status codes say (RFC 9110). @type {Record<string, string>} */
const PHRASES = {
  200: "OK", 201: "Created", 202: "Accepted", 204: "No content", 206: "Partial", 301: "Moved", 302: "Found", 303: "See other",
  304: "Not modified", 307: "Redirect", 308: "Redirect", 400: "Bad request", 401: "Unauthorized", 403: "Forbidden",
  404: "Not found", 405: "Not allowed", 409: "Conflict", 410: "Gone", 413: "Too large", 415: "Media type", 422: "Invalid",
  429: "Too many", 499: "Client left", 500: "Server error", 501: "Not implemented", 502: "Bad gateway", 503: "Unavailable",
  504: "Timeout",
}; // prettier-ignore

/**
 * @param {Answer} answer
 * @param {View} view
 */
export function showTables(answer, view) {
  const total = answer.summary.total_requests || 1;
  const unavailable = answer.unavailable ?? {};
  const requests = {
    label: "Requests",
    show: (/** @type {{requests: number}} */ row) => count(row.requests),
    order: (/** @type {{requests: number}} */ row) => row.requests,
    title: (/** @type {{requests: number}} */ row) => `${exact(row.requests)} · ${percent((row.requests / total) * 100)} of all`,
  };
  const errors = {
    label: "Errors",
    show: (/** @type {{errors_count: number, requests: number}} */ row) => (row.errors_count ? percent((row.errors_count / row.requests) * 100) : "0%"),
    order: (/** @type {{errors_count: number, requests: number}} */ row) => row.errors_count / row.requests,
    title: (/** @type {{errors_count: number}} */ row) => `${exact(row.errors_count)} errors`,
    alarm: (/** @type {{errors_count: number, requests: number}} */ row) => row.errors_count / row.requests >= 0.05,
  };
  const share = portion(answer.endpoint_stats);
  showTable(
    {
      id: "endpoints", title: "Endpoints", first: "Route", code: true,
      name: (row) => row.endpoint, share,
      rest: (row) => row.is_other, low: answer.precision.endpoints_low_by_at_most,
      pick: (row) => toggle({ endpoint: row.endpoint }), picked: (row) => view.endpoint === row.endpoint,
      columns: [
        requests,
        { label: "Avg", show: (row) => duration(row.avg_time), order: (row) => row.avg_time, wide: true },
        { label: "p95", show: (row) => duration(row.p95), order: (row) => row.p95 },
        errors,
      ],
    },
    answer.endpoint_stats, unavailable.endpoint_stats,
  ); // prettier-ignore

  const statuses = counted(answer.status_codes);
  showTable(
    {
      id: "statuses", title: "Status codes", first: "Status",
      name: (row) => row.name, note: (row) => PHRASES[row.name] ?? null, share: portion(statuses),
      pick: (row) => toggle({ status_code: row.name }), picked: (row) => view.status_code === row.name,
      columns: [{ ...requests, alarm: (row) => Number(row.name) >= 500 }, ratio(total)],
    },
    statuses, unavailable.status_codes,
  ); // prettier-ignore

  const methods = counted(answer.method_usage);
  showTable(
    {
      id: "methods", title: "Methods", first: "Method",
      name: (row) => row.name, share: portion(methods),
      rest: (row) => row.name === "(other)", low: answer.precision.methods_low_by_at_most, // no method has brackets
      pick: (row) => toggle({ method: row.name }), picked: (row) => view.method === row.name,
      columns: [requests, ratio(total)],
    },
    methods, unavailable.method_usage,
  ); // prettier-ignore

  showTable(
    {
      id: "clients", title: "Top clients", first: "Address", hint: "Choose a row to see its requests in the logs.",
      name: (row) => row.ip, share: portion(answer.top_ips),
      low: answer.precision.top_ips_low_by_at_most,
      pick: (row) => go({ ip: row.ip, tab: "logs" }), picked: (row) => view.ip === row.ip,
      columns: [requests, ratio(total)],
    },
    answer.top_ips, unavailable.top_ips,
  ); // prettier-ignore

  const consumers = answer.top_consumers ?? [];
  byId("consumers").hidden = !consumers.length && !view.consumer;
  showTable(
    {
      id: "consumers", title: "Consumers", first: "Consumer",
      name: (row) => row.consumer, share: portion(consumers),
      rest: (row) => row.is_other, low: answer.precision.consumers_low_by_at_most,
      pick: (row) => toggle({ consumer: row.consumer }), picked: (row) => view.consumer === row.consumer,
      columns: [requests, errors],
    },
    consumers, unavailable.top_consumers,
  ); // prettier-ignore
}

/**
 * @template {{requests: number}} Row
 * @param {Row[] | null | undefined} rows
 * @returns {(row: Row) => number} its part of the largest
 */
function portion(rows) {
  const most = Math.max(1, ...(rows ?? []).map((row) => row.requests));
  return (row) => row.requests / most;
}

/** @param {Record<string, number> | null} counts @returns {Counted[] | null} largest first */
const counted = (counts) =>
  counts && Object.entries(counts).map(([name, requests]) => ({ name, requests })).sort((a, b) => b.requests - a.requests);

/** @param {number} total */
const ratio = (total) => ({
  label: "Share",
  show: (/** @type {{requests: number}} */ row) => percent((row.requests / total) * 100),
});
