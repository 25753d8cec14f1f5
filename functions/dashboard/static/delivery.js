/**
 * How complete the numbers are: what arrived, what was refused, what clients say they lost.
 * @module
 */
import { now } from "./api.js";
import { byId, fill, h } from "./dom.js";
import { ago, exact, percent, utc } from "./format.js";

/** @typedef {import("./report.js").Delivery} Delivery */

/** When the last event arrived, ms; its age is told every second. @type {number | null} */
let last = null;

/**
 * @param {Delivery | null | undefined} delivery
 * @param {boolean} complete whether the answer covers the whole range
 */
export function showDelivery(delivery, complete) {
  last = delivery?.last_received_at ? Date.parse(delivery.last_received_at) : null;
  if (!delivery) return fill(byId("delivery"));
  const refused = sum(delivery.rejected);
  const lost = sum(delivery.dropped);
  const known = delivery.accepted + refused + lost;
  const stored = known ? (delivery.accepted / known) * 100 : 100;
  const parts = [
    ...Object.entries(delivery.dropped).map(([reason, n]) => `${exact(n)} dropped by clients (${words(reason)})`),
    ...Object.entries(delivery.rejected).map(([reason, n]) => `${exact(n)} refused (${words(reason)})`),
    delivery.duplicates && `${exact(delivery.duplicates)} sent twice, counted once`,
    delivery.skewed && `${exact(delivery.skewed)} from a clock that was ahead, filed at their arrival`,
    delivery.local_times && `${exact(delivery.local_times)} with a local time instead of UTC, filed at their arrival`,
    ...Object.entries(delivery.trimmed).map(([field, n]) => `${exact(n)} stored with an odd ${words(field)} repaired or left out`),
    ...Object.entries(delivery.unknown_fields).map(([field, n]) => `${exact(n)} stored without ${field}, a field of a newer format`),
  ].filter(Boolean);
  fill(
    byId("delivery"),
    h("p", null,
      h("span", { class: `dot ${stored < 99 ? "bad" : stored < 100 ? "fair" : "good"}`, "aria-hidden": "true" }),
      known ? h("b", null, percent(stored)) : "No events", known ? ` of ${exact(known)} known events stored` : " in this range",
      last !== null && h("span", { id: "last", title: utc(last) }),
      !complete && h("b", null, " Not everything could be read in time: the numbers are a lower bound."),
    ),
    parts.length > 0 && h("details", null, h("summary", { "data-key": "delivery" }, "Details"), h("ul", null, ...parts.map((part) => h("li", null, part)))),
  ); // prettier-ignore
  tickDelivery();
}

/** Say anew how long ago the last event arrived. */
export function tickDelivery() {
  const place = document.getElementById("last");
  if (place && last !== null) place.textContent = `; the last one arrived ${ago(now() - last)} ago`;
}

/** @param {Record<string, number>} counts */
const sum = (counts) => Object.values(counts).reduce((total, n) => total + n, 0);

/** @param {string} reason "buffer_full" is "buffer full" */
const words = (reason) => reason.replaceAll("_", " ");
