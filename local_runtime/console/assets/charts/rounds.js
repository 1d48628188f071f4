/* Gauges and pies. */

import { h, svg } from "../dom.js";
import { amount } from "../format.js";
import { colourOf } from "./colours.js";

const TURN = Math.PI * 1.5;  // a gauge is three quarters of a circle
const START = Math.PI * 0.75;

export function gauges({ lines, axes, levels }) {
  const low = axes.left.min ?? 0;
  const high = axes.left.max ?? Math.max(...lines.map((line) => line.largest ?? 0), low + 1);
  return h("div", { class: "rounds" }, lines.map((line, at) => line.count > 0 && gauge(line, at, low, high, levels)));
}

function gauge(line, at, low, high, levels) {
  const place = (value) => Math.max(0, Math.min(1, (value - low) / (high - low)));
  const text = amount(line.latest, line.unit);
  return h("figure", null,
    svg("svg", { viewBox: "0 0 120 108", role: "img", "aria-label": `${line.label}: ${text}, from ${amount(low, line.unit)} to ${amount(high, line.unit)}` },
      svg("path", { d: arc(60, 60, 48, START, START + TURN), class: "track", fill: "none", "stroke-width": 12 }),
      svg("path", { d: arc(60, 60, 48, START, START + TURN * Math.max(place(line.latest), 0.001)), fill: "none", "stroke-width": 12, stroke: colourOf(line, at) }),
      levels.flatMap((level) => level.values.map((value) => {
        const angle = START + TURN * place(value);
        return svg("line", {
          x1: 60 + 40 * Math.cos(angle), y1: 60 + 40 * Math.sin(angle),
          x2: 60 + 56 * Math.cos(angle), y2: 60 + 56 * Math.sin(angle),
          stroke: level.colour ?? "var(--text)", "stroke-width": 2,
        });
      })),
      svg("text", { x: 60, y: 66, "text-anchor": "middle", "font-size": 16 }, text),
      svg("text", { x: 24, y: 106, "text-anchor": "middle", "font-size": 9, class: "end" }, amount(low, line.unit)),
      svg("text", { x: 96, y: 106, "text-anchor": "middle", "font-size": 9, class: "end" }, amount(high, line.unit))),
    h("figcaption", null, line.label));
}

export function pie({ lines, title }) {
  const whole = lines.reduce((sum, line) => sum + Math.max(line.latest ?? 0, 0), 0);
  if (whole === 0) return h("p", { class: "empty" }, "All values are 0.");
  let angle = -Math.PI / 2;
  const slices = lines.map((line, at) => {
    const share = Math.max(line.latest ?? 0, 0) / whole;
    const from = angle;
    angle += share * Math.PI * 2;
    if (share === 0) return null;
    // A whole circle has no two ends; it is drawn as nearly one.
    return svg("path", { d: arc(60, 60, 36, from, Math.min(angle, from + Math.PI * 2 - 0.001)), fill: "none", "stroke-width": 24, stroke: colourOf(line, at) });
  });
  return h("div", { class: "rounds" },
    svg("svg", { viewBox: "0 0 120 120", role: "img", "aria-label": title ?? "Shares of the whole" }, slices),
    h("ul", { class: "legend" }, lines.map((line, at) => line.count > 0 &&
      h("li", { style: { "--stage": colourOf(line, at) } }, h("i"), line.label,
        h("b", null, `${amount(line.latest, line.unit)} · ${Math.round((Math.max(line.latest, 0) / whole) * 100)} %`)))));
}

function arc(x, y, radius, from, to) {
  const point = (angle) => `${(x + radius * Math.cos(angle)).toFixed(2)} ${(y + radius * Math.sin(angle)).toFixed(2)}`;
  return `M ${point(from)} A ${radius} ${radius} 0 ${to - from > Math.PI ? 1 : 0} 1 ${point(to)}`;
}
