/**
 * Calls to the service that served this page. The key travels in the X-API-Key header and nowhere else.
 * @module
 */
import { key } from "./session.js";

const PATIENCE = 30_000; // ms: the gateway in front of the service gives up at 30 s, too

/** The service does not know this key (401). */
export class Refused extends Error {}

/** No answer at all: the network or the server is away. */
export class Unreachable extends Error {}

/** Any other answer that is not a success. */
export class Failed extends Error {
  /**
   * @param {string} detail the server's sentence
   * @param {number} status
   * @param {number | null} retryAfter seconds, where the server named them
   */
  constructor(detail, status, retryAfter) {
    super(detail);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** Server clock minus browser clock, ms: a laptop with a wrong clock still asks for the right hours. */
let ahead = 0;

/** @returns {number} the server's time, ms since 1970 */
export const now = () => Date.now() + ahead;

/** @import { components, operations } from "openapi" */
/** @typedef {"dashboard" | "raw_logs" | "generate_key"} Path operations that the page calls; the path is the operation's name */
/**
 * @template {Path} P
 * @typedef {{[Name in keyof NonNullable<operations[P]["parameters"]["query"]>]?: string | number | null}} Query empty ones are left out
 */
/**
 * @template {Path} P
 * @typedef {operations[P]["responses"] extends {[Status in 200 | 201]?: {content: {"application/json": infer Body}}} ? Body : never} Body
 */
/**
 * @template {Path} P
 * @typedef {Omit<Response, "json"> & {json: () => Promise<Body<P>>}} Answer a response whose JSON is what openapi.json says
 */
/**
 * @template {Path} P
 * @typedef {object} Call
 * @property {Query<P>} [query]
 * @property {AbortSignal} [signal]
 * @property {string} [accept]
 * @property {string} [method]
 * @property {Record<string, string>} [headers]
 */

/**
 * @template {Path} P
 * @param {P} path without a leading slash: the page also works below a stage prefix
 * @param {Call<P>} [call]
 * @returns {Promise<Answer<P>>} a successful one
 * @throws {Refused | Unreachable | Failed | DOMException} the last when the caller's signal aborts
 */
export async function ask(path, { query = {}, signal, accept = "application/json", method = "GET", headers = {} } = {}) {
  const url = new URL(path, document.baseURI);
  url.search = "";
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, String(value));
  }
  const limit = AbortSignal.timeout(PATIENCE);
  const secret = key();
  let response;
  try {
    response = await fetch(url, {
      method,
      headers: { Accept: accept, ...(secret && { "X-API-Key": secret }), ...headers },
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
      cache: "no-store",
      credentials: "omit",
      referrerPolicy: "no-referrer",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Unreachable("The server does not answer.", { cause: error });
  }
  const date = Date.parse(response.headers.get("Date") ?? "");
  if (date && Math.abs(date - now()) > 2_000) ahead = date - Date.now(); // the header is cut to whole seconds
  if (response.ok) return response;
  const detail = await sentence(response);
  if (response.status === 401) throw new Refused(detail);
  throw new Failed(detail, response.status, Number(response.headers.get("Retry-After")) || null);
}

/**
 * @param {Response} response
 * @returns {Promise<string>} the `detail` of an error answer, with the first field that is wrong
 */
async function sentence(response) {
  const fallback = `The server answered ${response.status}.`;
  try {
    /** @type {Partial<components["schemas"]["Invalid"]>} */
    const { detail, errors } = await response.json();
    const first = errors?.[0];
    return first?.field ? `${detail} (${first.field}: ${first.reason})` : typeof detail === "string" ? detail : fallback;
  } catch {
    return fallback;
  }
}

/**
 * The query of the next page, from `Link: </raw_logs?…>; rel="next"`.
 * @param {Pick<Response, "headers">} response
 * @returns {Record<string, string> | null}
 */
export function nextPage(response) {
  const match = /<[^>]*\?([^>]*)>\s*;\s*rel="?next"?/.exec(response.headers.get("Link") ?? "");
  return match ? Object.fromEntries(new URLSearchParams(match[1])) : null;
}
