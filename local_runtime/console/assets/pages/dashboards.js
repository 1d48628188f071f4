/* The deployed dashboards, drawn from their own JSON. */

import { to } from "../address.js";
import { ask } from "../api.js";
import { h } from "../dom.js";
import { moment, plural } from "../format.js";
import { heading, rangePicker } from "../parts/heading.js";
import { widget } from "../charts/widget.js";

export const dashboardsPage = {
  title: () => "Dashboards",

  async load({ region }) {
    return await ask("dashboards/", { region });
  },

  view({ dashboards }) {
    return [
      heading("Dashboards"),
      h("section", { class: "panel", "aria-label": "Dashboards" },
        dashboards.length === 0
          ? h("p", { class: "empty" }, "No dashboard is deployed. A stack that defines AWS::CloudWatch::Dashboard puts one here, and so does PutDashboard.")
          : h("ul", { class: "plain-list" }, dashboards.map((each) =>
            h("li", { "data-key": each.name },
              h("a", { href: to(["dashboards", each.name]) }, each.name),
              h("span", { class: "small muted" }, ` changed ${moment(each.modified_s)}`))))),
    ];
  },
};

export const dashboardPage = {
  title: ({ name }) => name,

  async load({ name, region, range }) {
    return await ask(`dashboards/${name}`, { region, range });
  },

  view({ name, range, widgets, body }, context) {
    const faults = widgets.filter((each) => each.fault !== undefined);
    return [
      heading(name, { path: [["Dashboards", to(["dashboards"])]], aside: rangePicker(context, range) }),
      faults.length > 0 && h("p", { class: "note warn", "data-key": "faults" },
        `${plural(faults.length, "widget")} of ${widgets.length} cannot be drawn: ${faults.map((each) => `number ${each.number}`).join(", ")}. The reason stands in its place.`),
      widgets.length === 0 && h("p", { class: "empty" }, "The dashboard has no widgets."),
      h("div", { class: "board", "data-key": "board" }, widgets.map((each) => widget(each))),
      h("details", { class: "data", "data-key": "body" },
        h("summary", null, "The dashboard's JSON"),
        h("pre", { class: "body", tabindex: "0", role: "region", "aria-label": "The dashboard's JSON" }, body)),
    ];
  },
};
