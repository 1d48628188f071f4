/* How an endpoint scales, what it has done, and the alarms that watch it. */

import { to } from "../address.js";
import { ask } from "../api.js";
import { h } from "../dom.js";
import { number } from "../format.js";
import { activityList } from "../parts/activities.js";
import { alarmTable } from "../parts/alarm_table.js";
import { badge } from "../parts/badge.js";
import { heading, tabs } from "../parts/heading.js";
import { table } from "../parts/table.js";

export const scalingPage = {
  title: ({ name }) => `Scaling of ${name}`,

  async load({ name, region }) {
    return await ask(`endpoints/${name}`, { region });
  },

  view(endpoint) {
    const { targets, policies, activities } = endpoint.scaling;
    return [
      heading(endpoint.name, { path: [["Overview", to([])]], aside: badge(endpoint.status) }),
      tabs(endpoint.name, "scaling"),
      h("section", { class: "panel", "aria-labelledby": "rules" },
        h("h2", { id: "rules" }, "Scaling"),
        targets.length === 0
          ? h("p", { class: "empty" }, "Its capacity is fixed: no scalable target is registered.")
          : [
            table("Bounds", [
              { title: "Variant or component", cell: (each) => each.scaled },
              { title: "Capacity", cell: (each) => each.dimension },
              { title: "At least", number: true, cell: (each) => number(each.min) },
              { title: "At most", number: true, cell: (each) => number(each.max) },
            ], targets),
            policies.length > 0 && table("Policies", [
              { title: "Policy", cell: (each) => each.name },
              { title: "Rule", cell: (each) => each.rule },
              { title: "Alarms", cell: (each) => h("div", null, each.alarms.map((name) => h("div", null, h("a", { href: to(["alarms", name]) }, name)))) },
            ], policies),
          ]),
      h("section", { class: "panel", "aria-labelledby": "done" },
        h("h2", { id: "done" }, "What it has done"),
        activityList(activities)),
      h("section", { class: "panel", "aria-labelledby": "alarms" },
        h("h2", { id: "alarms" }, "Alarms"),
        endpoint.alarms.length === 0
          ? h("p", { class: "empty" }, "No alarm watches this endpoint.")
          : alarmTable(endpoint.alarms)),
    ];
  },
};
