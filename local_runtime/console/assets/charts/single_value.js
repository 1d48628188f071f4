/* Numbers alone, each with its name and, where it has one, its course. */

import { h, svg } from "../dom.js";
import { amount } from "../format.js";
import { colourOf } from "./colours.js";

export function singleValues({ lines, values, sparkline, axes }) {
  return h("div", { class: "values" }, lines.map((line, at) => line.count > 0 &&
    h("div", { style: { "--stage": colourOf(line, at) } },
      h("div", { class: "big" }, amount(line.latest, line.unit ?? axes[line.axis].label ?? undefined)),
      h("div", { class: "name" }, h("i"), line.label),
      sparkline && values[at].length > 1 && course(values[at]))));
}

function course(values) {
  const known = values.filter((value) => value !== null);
  const low = Math.min(...known);
  const high = Math.max(...known);
  const span = high - low || 1;
  const points = values.map((value, at) => value === null ? null
    : `${((at / (values.length - 1)) * 100).toFixed(2)},${(22 - ((value - low) / span) * 20).toFixed(2)}`);
  return svg("svg", { class: "line-spark", viewBox: "0 0 100 24", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("polyline", { points: points.filter(Boolean).join(" ") }));
}
