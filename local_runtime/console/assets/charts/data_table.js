/* The numbers of a chart as text, for whoever does not see it, or wants to copy them. */

import { h } from "../dom.js";
import { amount, moment, number } from "../format.js";

const MOST_ROWS = 120;

export function dataTable(drawing) {
  const title = drawing.title ?? `widget ${drawing.number}`;
  return h("details", { class: "data", "data-key": "data" },
    h("summary", null, "Numbers", h("span", { class: "sr" }, ` of ${title}`)),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Numbers of ${title}` },
      summaryTable(drawing), levelTable(drawing), pointTable(drawing)));
}

export function summaryTable({ lines, period_s: period }) {
  return h("table", null,
    h("caption", null, period === null ? "Of the whole time" : `Each value is of ${number(period)} s`),
    h("thead", null, h("tr", null, ["Line", "Latest", "Least", "Most", "Average", "Values"].map((name, at) =>
      h("th", { scope: "col", class: at > 0 ? "number" : null }, name)))),
    h("tbody", null, lines.map((line) => h("tr", null,
      h("th", { scope: "row" }, line.label),
      [line.latest, line.smallest, line.largest, line.average].map((value) =>
        h("td", { class: "number" }, amount(value, line.unit))),
      h("td", { class: "number" }, number(line.count))))));
}

function levelTable({ levels, axes }) {
  if (levels.length === 0) return null;
  return h("table", null,
    h("caption", null, "Levels"),
    h("thead", null, h("tr", null, h("th", { scope: "col" }, "Level"), h("th", { scope: "col", class: "number" }, "Value"))),
    h("tbody", null, levels.map((level) => h("tr", null,
      h("th", { scope: "row" }, level.labels.join(" – ") || "without a name"),
      h("td", { class: "number" }, level.values.map((value) => amount(value, axes[level.axis].unit)).join(" – "))))));
}

function pointTable({ lines, times, values }) {
  if (times.length === 0) return null;
  const first = Math.max(0, times.length - MOST_ROWS);
  const rows = [];
  for (let at = times.length - 1; at >= first; at -= 1) {
    if (values.every((line) => line[at] === null)) continue;
    rows.push(h("tr", null, h("th", { scope: "row" }, moment(times[at])),
      lines.map((line, number_) => h("td", { class: "number" }, amount(values[number_][at], line.unit)))));
  }
  return h("table", null,
    h("caption", null, first > 0 ? `The newest ${MOST_ROWS} times` : "Every time"),
    h("thead", null, h("tr", null, h("th", { scope: "col" }, "Time"),
      lines.map((line) => h("th", { scope: "col", class: "number" }, line.label)))),
    h("tbody", null, rows));
}
