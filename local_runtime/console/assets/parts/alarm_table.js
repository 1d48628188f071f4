/* Alarms with their state and the reason for it. */

import { to } from "../address.js";
import { h } from "../dom.js";
import { ago } from "../format.js";
import { badge } from "./badge.js";
import { table } from "./table.js";

export function alarmTable(alarms) {
  return table("Alarms; those that are raised come first, those for scaling last", [
    { title: "Alarm", cell: (alarm) => h("a", { href: to(["alarms", alarm.name]) }, alarm.name) },
    { title: "State", cell: (alarm) => [alarm.scales ? badge(alarm.state, "") : badge(alarm.state), alarm.scales && [" ", h("span", { class: "small muted" }, "for scaling")]] },
    { title: "Since", cell: (alarm) => ago(alarm.since_s) },
    { title: "Condition", cell: (alarm) => h("span", { class: "wrap" }, alarm.condition) },
    { title: "Reason", cell: (alarm) => h("span", { class: "wrap small muted" }, alarm.reason) },
  ], alarms, { key: (alarm) => alarm.name });
}
