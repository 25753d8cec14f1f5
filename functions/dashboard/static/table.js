/**
 * A ranked table: a name that filters when clicked, a bar for its share, numbers beside it.
 * @module
 */
import { byId, fill, h } from "./dom.js";
import { exact } from "./format.js";

const FIRST = 10; // rows before "Show all"
/** Rows that are asked for: as many means that there may be more. */
export const MOST = 100;

/**
 * @template Row
 * @typedef {object} Column
 * @property {string} label
 * @property {(row: Row) => string} show
 * @property {(row: Row) => number | null | undefined} [order] makes the column sortable, largest first
 * @property {(row: Row) => string | null} [title]
 * @property {boolean} [wide] left out on a phone
 * @property {(row: Row) => boolean} [alarm]
 */
/**
 * @template Row
 * @typedef {object} Table
 * @property {string} id of its card in the page
 * @property {string} title
 * @property {string} first label of the first column
 * @property {(row: Row) => string} name
 * @property {(row: Row) => string | null} [note] beside the name
 * @property {(row: Row) => number} share 0 to 1: the length of the bar
 * @property {Column<Row>[]} columns
 * @property {(row: Row) => void} pick
 * @property {(row: Row) => boolean} picked
 * @property {boolean} [code] names are code
 * @property {string} [hint] what a click does
 * @property {(row: Row) => boolean} [rest] whether it is all that have no row of their own, which no filter can choose
 * @property {number} [low] how many requests a row may have more than is told
 */

/** Tables whose reader asked for all rows. @type {Set<string>} */
const opened = new Set();
/** Label of the column that a table is sorted by. @type {Map<string, string>} */
const sorted = new Map();

/**
 * @template Row
 * @param {Table<Row>} table
 * @param {Row[] | null} rows null when unavailable
 * @param {string} [reason] why
 */
export function showTable(table, rows, reason) {
  const card = byId(table.id);
  const again = () => showTable(table, rows, reason);
  const by = table.columns.find((column) => column.label === sorted.get(table.id))?.order;
  const ranked = by && rows ? [...rows].sort((a, b) => (by(b) ?? -1) - (by(a) ?? -1)) : (rows ?? []);
  const shown = opened.has(table.id) ? ranked : ranked.slice(0, FIRST);
  fill(
    card,
    h("h2", null, table.title, rows && rows.length > FIRST && rows.length < MOST && h("span", { class: "soft" }, ` ${rows.length}`)),
    rows?.length
      ? h("table", null,
          h("caption", { class: "spoken" }, `${table.title}. ${table.hint ?? "Choose a row to filter by it."}`),
          h("thead", null, h("tr", null, h("th", { scope: "col" }, table.first), ...table.columns.map((column) => head(table, column, again)))),
          h("tbody", null, ...shown.map((row) => line(table, row))),
        )
      : h("p", { class: "none" }, rows ? "Nothing in this range." : (reason ?? "Not available for this view.")),
    table.low ? h("p", { class: "soft low" }, `Each may have up to ${exact(table.low)} more: some are counted as other.`) : null,
    ranked.length > FIRST &&
      h("button", {
        type: "button", class: "more", "data-key": `${table.id}-more`, "aria-expanded": String(opened.has(table.id)),
        onclick: () => {
          if (!opened.delete(table.id)) opened.add(table.id);
          again();
        },
      }, opened.has(table.id) ? "Show fewer" : `Show ${ranked.length < MOST ? "all" : "the first"} ${ranked.length}`),
  ); // prettier-ignore
}

/**
 * @template Row
 * @param {Table<Row>} table
 * @param {Column<Row>} column
 * @param {() => void} again
 */
function head(table, column, again) {
  const sortable = table.columns.filter(({ order }) => order);
  const active = column.order && (sorted.get(table.id) ?? sortable[0].label) === column.label;
  const choose = () => {
    sorted.set(table.id, column.label);
    again();
  };
  return h(
    "th",
    { scope: "col", class: `number${column.wide ? " wide" : ""}`, "aria-sort": sortable.length > 1 && active ? "descending" : null },
    sortable.length > 1 && column.order
      ? h("button", { type: "button", class: "sort", "data-key": `${table.id}-by-${column.label}`, onclick: choose }, column.label)
      : column.label,
  );
}

/**
 * @template Row
 * @param {Table<Row>} table
 * @param {Row} row
 */
function line(table, row) {
  const name = table.name(row);
  const picked = table.picked(row);
  const note = table.note?.(row);
  return h(
    "tr",
    { css: { "--share": `${(table.share(row) * 100).toFixed(2)}%` } },
    h("th", { scope: "row" },
      table.rest?.(row) ? h("span", { class: "rest", title: "Not one name: all that were not kept by name" }, "All others") :
      h("button", {
        type: "button", class: table.code ? "pick code" : "pick", title: name, "data-key": `${table.id}:${name}`,
        "aria-pressed": String(picked), onclick: () => table.pick(row),
      }, name, note && h("span", { class: "note" }, ` ${note}`)),
    ),
    ...table.columns.map((column) =>
      h("td", {
        class: `number${column.wide ? " wide" : ""}${column.alarm?.(row) ? " alarm" : ""}`,
        title: column.title?.(row) ?? null,
      }, column.show(row)),
    ),
  ); // prettier-ignore
}
