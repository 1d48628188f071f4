/* One widget of a dashboard, whatever its type. */

import { to } from "../address.js";
import { h } from "../dom.js";
import { exact } from "../format.js";
import { badge } from "../parts/badge.js";
import { absences } from "./absence.js";
import { bars } from "./bars.js";
import { dataTable, summaryTable } from "./data_table.js";
import { gauges, pie } from "./rounds.js";
import { prose } from "./prose.js";
import { singleValues } from "./single_value.js";
import "./time_series.js";

const NAMES = { metric: "Metrics", alarm: "Alarms", log: "Log lines" };

export function widget(drawing) {
  const title = drawing.title ?? NAMES[drawing.type];
  const plain = drawing.type === "text" && drawing.transparent;
  return h("section", {
    class: `panel widget${plain ? " plain" : ""}`,
    "data-key": `widget-${drawing.number}-${drawing.type}`,
    "aria-label": drawing.title ?? `${NAMES[drawing.type] ?? "Text"}, widget ${drawing.number}`,
    style: { "--x": drawing.x, "--y": drawing.y, "--w": drawing.width, "--h": drawing.height },
  },
  drawing.type !== "text" && title && h("h2", null, title),
  drawing.fault === undefined ? content(drawing) : fault(drawing));
}

function fault(drawing) {
  return h("p", { class: "note warn" }, h("b", null, `Widget ${drawing.number} cannot be drawn: `), drawing.fault);
}

function content(drawing) {
  switch (drawing.type) {
    case "text": return h("div", { class: "prose" }, prose(drawing.content));
    case "alarm": return alarms(drawing.alarms);
    case "log": return log(drawing);
    default: return metrics(drawing);
  }
}

function metrics(drawing) {
  const hasData = drawing.lines.some((line) => line.count > 0);
  const chart = {
    timeSeries: () => h("time-series", { data: drawing }),
    singleValue: () => singleValues(drawing),
    gauge: () => gauges(drawing),
    bar: () => bars(drawing),
    pie: () => pie(drawing),
    table: () => summaryTable(drawing),
  }[drawing.view];
  const drawn = hasData || (drawing.view === "timeSeries" && drawing.lines.length === 0);
  return [
    drawn && chart(),
    absences(drawing),
    hasData && drawing.view !== "table" && dataTable(drawing),
  ];
}

function alarms(listed) {
  if (listed.length === 0) return h("p", { class: "empty" }, "No alarm is in one of these states.");
  return h("ul", { class: "plain-list" }, listed.map((alarm) =>
    h("li", { "data-key": alarm.name },
      badge(alarm.state ?? "gone"), " ",
      alarm.state === null ? alarm.name : h("a", { href: to(["alarms", alarm.name]) }, alarm.name))));
}

function log({ lines, groups, title, number }) {
  if (lines.length === 0) return h("p", { class: "empty" }, `Nothing was printed to ${groups.join(", ")}.`);
  return h("div", { class: "log short", tabindex: "0", role: "region", "aria-label": title ?? `Log lines of widget ${number}` },
    h("ol", null, lines.map((line) =>
      h("li", null, h("time", null, exact(line.time_s)), h("span", { class: "text" }, line.text)))));
}
