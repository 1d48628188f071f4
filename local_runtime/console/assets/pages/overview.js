/* Everything of a region at a glance. */

import { to } from "../address.js";
import { ask, live } from "../api.js";
import { h } from "../dom.js";
import { ago, number, plural, seconds } from "../format.js";
import { badge } from "../parts/badge.js";
import { activityList } from "../parts/activities.js";
import { heading, rangePicker } from "../parts/heading.js";
import { spark } from "../parts/spark.js";
import { table } from "../parts/table.js";

export const overviewPage = {
  title: () => "Overview",

  async load({ region, range }) {
    const [overview, status] = await Promise.all([ask("overview", { region, range }), live()]);
    const running = new Map(status.endpoints.filter((each) => each.region === region).map((each) => [each.name, each]));
    return { ...overview, running };
  },

  view({ endpoints, raised, watching, dashboards, activities, running }, context) {
    return [
      heading("Overview", { aside: rangePicker(context, context.range ?? "PT1H") }),
      h("section", { class: "panel", "aria-labelledby": "endpoints" },
        h("h2", { id: "endpoints" }, "Endpoints"),
        endpoints.length === 0 ? nothingYet(context) : endpointTable(endpoints, running)),
      h("div", { class: "pair" },
        h("section", { class: "panel", "aria-labelledby": "alarms" },
          h("h2", { id: "alarms" }, "Alarms"),
          raised.length === 0
            ? h("p", { class: "empty" }, watching === 0 ? "No alarm watches anything, but for scaling." : `None of ${plural(watching, "alarm")} is raised.`)
            : h("ul", { class: "plain-list" }, raised.map((alarm) => h("li", { "data-key": alarm.name },
              badge(alarm.state), " ", h("a", { href: to(["alarms", alarm.name]) }, alarm.name),
              h("p", { class: "small muted wrap" }, `${ago(alarm.since_s)}: ${alarm.description ?? alarm.condition}`)))),
          h("p", { class: "small" }, h("a", { href: to(["alarms"]) }, "All alarms"))),
        h("section", { class: "panel", "aria-labelledby": "dashboards" },
          h("h2", { id: "dashboards" }, "Dashboards"),
          dashboards.length === 0
            ? h("p", { class: "empty" }, "No dashboard is deployed.")
            : h("ul", { class: "plain-list" }, dashboards.map((each) =>
              h("li", { "data-key": each.name }, h("a", { href: to(["dashboards", each.name]) }, each.name))))),
        h("section", { class: "panel", "aria-labelledby": "activities" },
          h("h2", { id: "activities" }, "Scaling"),
          activityList(activities, { brief: true }))),
    ];
  },
};

function nothingYet({ runtime }) {
  return h("div", { class: "empty" },
    h("p", null, "Nothing is deployed yet. Point a client here and deploy:"),
    h("pre", { class: "body" },
      `eval "$(python -m local_runtime env --port ${new URL(runtime.url).port})"\nnpx cdk bootstrap -c env=local\nnpx cdk deploy --all -c env=local`));
}

function endpointTable(endpoints, running) {
  return table("What is deployed, with its numbers in the chosen time", [
    { title: "Endpoint", cell: (each) => h("a", { href: to(["endpoints", each.name]) }, each.name) },
    { title: "Kind", cell: (each) => h("span", { class: "nowrap" }, each.kind) },
    { title: "Status", cell: (each) => [badge(each.status), alarmCount(each)] },
    { title: "Capacity", cell: (each) => capacity(each, running.get(each.name)) },
    { title: "Traffic", cell: (each) => spark(each.numbers.sparks, `${number(each.numbers.requests)} requests in the chosen time`) },
    { title: "Requests", number: true, cell: (each) => number(each.numbers.requests) },
    { title: "Errors", number: true, cell: (each) => number(each.numbers.errors) },
    { title: "Latency p50", number: true, cell: (each) => seconds(each.numbers.latency?.p50_s) },
    { title: "p99", number: true, cell: (each) => seconds(each.numbers.latency?.p99_s) },
  ], endpoints, { key: (each) => each.name });
}

function alarmCount(endpoint) {
  const raised = endpoint.raised.length;
  return raised > 0 && [" ", h("span", { class: "badge bad" }, plural(raised, "alarm"))];
}

function capacity(endpoint, live_) {
  const units = live_?.variants.reduce((sum, variant) => sum + variant.instances.length, 0) ?? 0;
  const serverless = endpoint.variants.some((variant) => variant.serverless !== null);
  const parts = [plural(units, serverless ? "environment" : "instance")];
  const queue = live_?.queue;
  if (queue && queue.waiting + queue.processing > 0) parts.push(`${number(queue.waiting + queue.processing)} queued`);
  return parts.join(", ");
}
