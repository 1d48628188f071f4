/* The alarms of a region, and one of them with its history. */

import { to } from "../address.js";
import { ask } from "../api.js";
import { h } from "../dom.js";
import { ago, moment, plural } from "../format.js";
import { alarmTable } from "../parts/alarm_table.js";
import { badge } from "../parts/badge.js";
import { heading, rangePicker } from "../parts/heading.js";
import { widget } from "../charts/widget.js";

export const alarmsPage = {
  title: () => "Alarms",

  async load({ region }) {
    return await ask("alarms/", { region });
  },

  view({ alarms }) {
    return [
      heading("Alarms"),
      h("section", { class: "panel", "aria-label": "Alarms" },
        alarms.length === 0 ? h("p", { class: "empty" }, "There are no alarms in this region.") : alarmTable(alarms)),
    ];
  },
};

export const alarmPage = {
  title: ({ name }) => name,

  async load({ name, region, range }) {
    return await ask(`alarms/${name}`, { region, range });
  },

  view(alarm, context) {
    return [
      heading(alarm.name, {
        path: [["Alarms", to(["alarms"])]],
        aside: [badge(alarm.state), h("span", { class: "badge plain" }, alarm.kind), alarm.kind === "metric" && rangePicker(context, context.range ?? "PT3H")],
      }),
      h("section", { class: "panel", "aria-labelledby": "why" },
        h("h2", { id: "why" }, `Since ${moment(alarm.since_s)}, ${ago(alarm.since_s)}`),
        h("p", { class: "wrap" }, alarm.reason),
        h("p", { class: "wrap muted" }, "Condition: ", h("code", { class: "wrap" }, alarm.condition)),
        alarm.description && h("p", { class: "wrap muted" }, alarm.description),
        !alarm.actions_enabled && h("p", { class: "note warn" }, "Its actions are switched off."),
        endpoints(alarm),
        actions(alarm)),
      alarm.below.length > 0 && h("section", { class: "panel", "data-key": "children", "aria-labelledby": "children" },
        h("h2", { id: "children" }, "Alarms in its rule"), alarmTable(alarm.below)),
      (alarm.widgets ?? []).map((each) => widget(each)),
      h("section", { class: "panel", "data-key": "history", "aria-labelledby": "history" },
        h("h2", { id: "history" }, "History"),
        h("ol", { class: "plain-list" }, alarm.history.map((item) =>
          h("li", { "data-key": `${item.time_s}${item.type}${item.summary}` },
            h("span", { class: "muted" }, `${moment(item.time_s)} `), item.summary,
            (item.error ?? item.reason) && h("p", { class: "small muted wrap" }, item.error ?? item.reason))))),
    ];
  },
};

function endpoints(alarm) {
  if (alarm.endpoints.length === 0) return null;
  return h("p", null, "Watches ", alarm.endpoints.map((name, at) =>
    [at > 0 && ", ", h("a", { href: to(["endpoints", name]) }, name)]));
}

function actions(alarm) {
  const called = Object.entries(alarm.actions).filter(([, arns]) => arns.length > 0);
  if (called.length === 0) return null;
  return h("details", { class: "data" },
    h("summary", null, plural(called.flatMap(([, arns]) => arns).length, "action")),
    h("ul", null, called.flatMap(([state, arns]) => arns.map((arn) => h("li", { class: "wrap small" }, `${state}: ${arn}`)))));
}
