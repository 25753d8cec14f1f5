/**
 * The drawn chart: uPlot with our colors, labels, hover and drag. Without uPlot (no npm when the page was set up) it is
 * not drawn, and the table stands in.
 * @module
 */
import { clock, coarse, day, month } from "./format.js";
import { DAY } from "./range.js";

/** @typedef {import("./format.js").Period} Period */
/**
 * @typedef {object} Line
 * @property {string} label
 * @property {string} color name of a CSS variable
 * @property {string} [area] name of a CSS variable to fill with
 * @property {number} [width]
 * @property {number[]} [dash]
 * @property {(number | null | undefined)[]} values
 */
/**
 * @typedef {object} Drawing
 * @property {Period} period
 * @property {number[]} starts of the buckets, ms
 * @property {Line[]} lines
 * @property {(value: number) => string} show a value on the axis
 * @property {(index: number | null) => void} hover
 * @property {(from: number, to: number) => void} zoom indexes of the first and the last bucket
 */

/** @returns {boolean} */
export const drawable = () => typeof Reflect.get(globalThis, "uPlot") === "function";

const HEIGHT = 264; // px

export class Plot {
  /** @param {HTMLElement} place */
  constructor(place) {
    this.place = place;
    /** @type {any} uPlot's instance */
    this.drawn = null;
    /** @type {Drawing | null} */
    this.drawing = null;
    this.shape = "";
    new ResizeObserver(() => this.drawn?.setSize({ width: place.clientWidth, height: HEIGHT })).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
  }

  /** @param {Drawing} drawing */
  show(drawing) {
    this.drawing = drawing;
    const shape = JSON.stringify([drawing.period, drawing.lines.map((line) => line.label)]);
    const data = [drawing.starts.map((start) => start / 1_000), ...drawing.lines.map((line) => line.values)];
    if (this.drawn && shape === this.shape) return this.drawn.setData(data);
    this.clear();
    this.shape = shape;
    const uPlot = Reflect.get(globalThis, "uPlot");
    this.drawn = new uPlot(this.options(drawing, uPlot), data, this.place);
  }

  clear() {
    this.drawn?.destroy();
    this.drawn = null;
  }

  redraw() {
    this.clear();
    if (this.drawing) this.show(this.drawing);
  }

  /**
   * Put the cursor on a bucket, for the keyboard.
   * @param {number} index
   */
  point(index) {
    const at = this.drawing?.starts[index];
    if (this.drawn && at !== undefined) this.drawn.setCursor({ left: this.drawn.valToPos(at / 1_000, "x"), top: 20 });
  }

  /** @param {number} index @returns {number} px from the left of the place */
  left(index) {
    const at = this.drawing?.starts[index] ?? 0;
    return this.drawn ? this.drawn.valToPos(at / 1_000, "x") + this.drawn.over.offsetLeft : 0;
  }

  /**
   * @param {Drawing} drawing
   * @param {any} uPlot
   */
  options(drawing, uPlot) {
    const style = getComputedStyle(document.documentElement);
    /** @param {string} name */
    const color = (name) => style.getPropertyValue(name).trim();
    const utc = coarse(drawing.period);
    const font = `11px ${getComputedStyle(document.body).fontFamily}`;
    const axis = { font, stroke: color("--soft"), ticks: { show: false } };
    const current = () => /** @type {Drawing} */ (this.drawing);
    return {
      width: this.place.clientWidth,
      height: HEIGHT,
      padding: [12, 20, 0, 0],
      legend: { show: false },
      tzDate: (/** @type {number} */ s) => (utc ? uPlot.tzDate(new Date(s * 1_000), "Etc/UTC") : new Date(s * 1_000)),
      cursor: {
        y: false,
        points: { size: 7, width: 2, fill: color("--card") },
        drag: { x: true, y: false, setScale: false },
      },
      scales: { y: { range: (/** @type {any} */ _, /** @type {any} */ __, /** @type {number | null} */ top) => [0, top ? top * 1.08 : 1] } },
      axes: [
        { ...axis, grid: { show: false }, space: 64, size: 32, values: (/** @type {any} */ _, /** @type {number[]} */ splits) => times(splits, utc) },
        { ...axis, size: 54, gap: 8, grid: { stroke: color("--line"), width: 1 }, space: 44,
          values: (/** @type {any} */ _, /** @type {number[]} */ splits) => splits.map((value) => current().show(value)) },
      ], // prettier-ignore
      series: [
        {},
        ...drawing.lines.map((line) => ({
          label: line.label,
          stroke: color(line.color),
          fill: line.area && color(line.area),
          width: line.width ?? 1.75,
          dash: line.dash,
          points: { show: (/** @type {any} */ plot) => plot.data[0].length < 3, size: 6, fill: color(line.color) },
        })),
      ],
      hooks: {
        setCursor: [(/** @type {any} */ plot) => current().hover(plot.cursor.idx ?? null)],
        setSelect: [
          (/** @type {any} */ plot) => {
            const { left, width } = plot.select;
            if (width < 4) return;
            plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
            current().zoom(plot.posToIdx(left), plot.posToIdx(left + width));
          },
        ],
      },
    };
  }
}

/**
 * Labels under the chart: the finest unit that tells them apart, and the date where a day begins.
 * @param {number[]} splits seconds
 * @param {boolean} inUtc
 */
function times(splits, inUtc) {
  const step = splits.length > 1 ? (splits[1] - splits[0]) * 1_000 : DAY;
  return splits.map((s) => {
    const ms = s * 1_000;
    if (step >= 27 * DAY) return month(ms, inUtc);
    return step >= DAY || clock(ms, inUtc) === "00:00" ? day(ms, inUtc) : clock(ms, inUtc);
  });
}
