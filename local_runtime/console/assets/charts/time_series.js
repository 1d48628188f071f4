/* Lines over time. The element draws itself with uPlot and keeps its chart while data changes. */

import uPlot from "../vendor/uplot-1.6.32/uPlot.esm.js";
import { h } from "../dom.js";
import { amount, moment, tick } from "../format.js";
import { colourOf, faded, resolved } from "./colours.js";
import { marks } from "./marks.js";

// Steps of a time axis, in seconds; uPlot's own have none between one minute and five.
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800];
const FONT = "12px system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";

class TimeSeries extends HTMLElement {
  #drawing = null;
  #plot = null;
  #shape = "";
  #watch = null;

  set data(drawing) {
    this.#drawing = drawing;
    if (this.isConnected) this.#draw();
  }

  get data() {
    return this.#drawing;
  }

  connectedCallback() {
    this.#watch = new ResizeObserver(() => this.#resize());
    document.addEventListener("colours", this.#anew);
    this.#draw();
  }

  disconnectedCallback() {
    this.#watch.disconnect();
    document.removeEventListener("colours", this.#anew);
    this.#plot?.destroy();
    this.#plot = null;
  }

  #anew = () => {
    this.#shape = "";
    this.#draw();
  };

  #draw() {
    const drawing = this.#drawing;
    // What a chart keeps; only its numbers are changed in place.
    const shape = JSON.stringify([drawing.lines.map((line) => [line.label, line.axis, line.colour, line.unit]), drawing.axes, drawing.levels, drawing.stacked, drawing.legend]);
    if (shape !== this.#shape) {
      this.#shape = shape;
      this.#build(drawing);
    } else {
      this.#plot.setData(data(drawing), false);
      this.#plot.batch(() => {
        this.#plot.setScale("x", { min: drawing.start_s, max: drawing.end_s });
        this.#plot.redraw(true, true);
      });
    }
    this.#legend(drawing);
    const place = this.querySelector(".plot");
    place.setAttribute("aria-label", described(drawing));
  }

  #build(drawing) {
    this.#plot?.destroy();
    this.#watch.disconnect();
    const { left, right } = drawing.axes;
    const plot = h("div", { class: "plot", role: "img" });
    this.classList.toggle("side", drawing.legend === "right");
    this.replaceChildren(
      h("div", { class: "chart" },
        (left.label || right.label || left.unit || right.unit) &&
          h("div", { class: "axes", "aria-hidden": "true" }, h("span", null, axisName(left)), h("span", null, right.used ? axisName(right) : "")),
        plot),
      h("ul", { class: "legend" }));
    const hint = h("div", { class: "hint", hidden: true });
    this.#plot = new uPlot(options(drawing, plot, hint, () => this.#drawing), data(drawing), plot);
    this.#plot.over.append(hint);
    this.#watch.observe(plot);
  }

  #legend(drawing) {
    const legend = this.querySelector(".legend");
    legend.hidden = drawing.legend === "hidden";
    legend.replaceChildren(...drawing.lines.map((line, at) => h("li", { style: { "--stage": colourOf(line, at) } },
      h("i"), line.label, line.count > 0 && h("b", null, amount(line.latest, line.unit)))));
  }

  #resize() {
    const place = this.querySelector(".plot");
    if (this.#plot !== null && place !== null && place.clientWidth > 0) {
      this.#plot.setSize({ width: place.clientWidth, height: Math.max(place.clientHeight, 100) });
    }
  }
}

function axisName({ label, unit }) {
  return label ?? (["Microseconds", "Milliseconds", "Seconds", "Percent", "Count", null].includes(unit) ? "" : unit);
}

/** What uPlot draws: a stack is drawn from its top line down, each over the ones before. */
function data({ times, values, stacked, stack }) {
  return [times, ...(stacked ? stack : values)];
}

function described({ lines, levels, title }) {
  const said = lines.filter((line) => line.count > 0).map((line) => `${line.label} ${amount(line.latest, line.unit)}`);
  const bounds = levels.flatMap((level) => level.labels);
  return `${title ?? "Chart"}, latest: ${said.join("; ") || "no values"}${bounds.length > 0 ? `. Levels: ${bounds.join("; ")}` : ""}`;
}

function options(drawing, place, hint, newest) {
  const { axes, lines, levels } = drawing;
  const muted = resolved("var(--muted)");
  const grid = { stroke: resolved("var(--line)"), width: 1 };
  const scale = (side) => ({
    range: (_, low, high) => bounds(axes[side], levels.filter((level) => level.axis === side).flatMap((level) => level.values), low, high),
  });
  const axis = (side) => ({
    scale: side,
    side: side === "left" ? 3 : 1,
    stroke: muted,
    font: FONT,
    grid: side === "left" ? grid : { show: false },
    ticks: { show: false },
    gap: 6,
    size: (plot, texts) => Math.max(34, ...(texts ?? []).map((text) => text.length * 7 + 12)),
    values: (_, ticks) => ticks.map((value) => amount(value, axes[side].unit)),
    space: 34,
  });
  const sides = [axes.left.used || !axes.right.used ? "left" : null, axes.right.used ? "right" : null].filter(Boolean);
  return {
    width: Math.max(place.clientWidth, 200),
    height: Math.max(place.clientHeight, 100),
    padding: [8, axes.right.used ? 0 : 20, 0, 0],
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, points: { size: 6 } },
    scales: { x: { time: true, range: () => [newest().start_s, newest().end_s] }, ...Object.fromEntries(sides.map((side) => [side, scale(side)])) },
    axes: [
      { stroke: muted, font: FONT, grid: { show: false }, ticks: { ...grid, size: 4 }, gap: 4, size: 28, space: 64, incrs: STEPS, values: (_, ticks) => ticks.map((value) => tick(value, ticks.length > 1 ? ticks[1] - ticks[0] : 60)) },
      ...sides.map(axis),
    ],
    series: [{}, ...lines.map((line, at) => {
      const colour = resolved(colourOf(line, at));
      return {
        label: line.label, scale: line.axis, stroke: colour, width: 2,
        fill: drawing.stacked ? faded(colourOf(line, at), 0.35) : undefined,
        // Among many, points are hidden, but for those that no line leads to.
        points: { size: 5, fill: colour, filter: (plot, own, shown) => (shown ? null : alone(plot.data[own])) },
        // A little wider, or the ends of the line across a gap stay visible.
        gaps: (plot, series, first, last, gaps) => gaps.map(([from, to]) => [from - 1, to + 1]),
      };
    })],
    bands: drawing.stacked ? lines.slice(1).map((_, at) => ({ series: [at + 2, at + 1] })) : [],
    hooks: { draw: [(plot) => marks(plot, newest())], setCursor: [(plot) => explain(plot, hint, newest())] },
  };
}

/** The places of values without neighbours. */
function alone(values) {
  const empty = (at) => values[at] === null || values[at] === undefined;
  return values.map((_, at) => at).filter((at) => !empty(at) && empty(at - 1) && empty(at + 1));
}

/** Where an axis begins and ends: as it was told, or around its values and levels. */
function bounds({ min, max }, levels, low, high) {
  const values = [low, high, ...levels].filter((value) => value !== null && Number.isFinite(value));
  const least = values.length > 0 ? Math.min(...values) : 0;
  const most = values.length > 0 ? Math.max(...values) : 1;
  const bottom = min ?? (least >= 0 ? 0 : least - (most - least) * 0.08);
  const top = max ?? (most > bottom ? most + (most - bottom) * 0.08 : bottom + 1);
  return [bottom, top > bottom ? top : bottom + 1];
}

function explain(plot, hint, { times, values, lines }) {
  const at = plot.cursor.idx;
  hint.hidden = at === null || at === undefined || plot.cursor.left < 0;
  if (hint.hidden) return;
  const known = lines.map((line, number) => [line, values[number][at], number]).filter(([, value]) => value !== null && value !== undefined);
  hint.replaceChildren(h("div", null, moment(times[at])), ...known.map(([line, value, number]) =>
    h("ul", { class: "legend" }, h("li", { style: { "--stage": colourOf(line, number) } }, h("i"), line.label, h("b", null, amount(value, line.unit))))));
  const left = plot.cursor.left;
  const wide = plot.over.clientWidth;
  hint.style.left = left < wide / 2 ? `${left + 12}px` : "auto";
  hint.style.right = left < wide / 2 ? "auto" : `${wide - left + 12}px`;
  hint.style.top = "4px";
}

customElements.define("time-series", TimeSeries);
