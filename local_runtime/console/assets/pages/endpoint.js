/* One endpoint: how it is, what runs for it, where the time goes. */

import { to } from "../address.js";
import { ask, live } from "../api.js";
import { h } from "../dom.js";
import { bytes, moment, number, plural, seconds } from "../format.js";
import { badge } from "../parts/badge.js";
import { facts } from "../parts/facts.js";
import { heading, rangePicker, tabs } from "../parts/heading.js";
import { pipeline } from "../parts/pipeline.js";
import { spark } from "../parts/spark.js";
import { table } from "../parts/table.js";
import { widget } from "../charts/widget.js";

export const endpointPage = {
  title: ({ name }) => name,

  async load({ name, region, range }) {
    const [endpoint, status, charts] = await Promise.all([
      ask(`endpoints/${name}`, { region, range }), live(), ask(`charts/${name}`, { region, range }),
    ]);
    const running = status.endpoints.find((each) => each.name === name && each.region === region);
    return { endpoint, running, charts: charts.widgets };
  },

  view({ endpoint, running, charts }, context) {
    return [
      heading(endpoint.name, {
        path: [["Overview", to([])]],
        aside: [badge(endpoint.status), h("span", { class: "badge plain" }, endpoint.kind), rangePicker(context, context.range ?? "PT1H")],
      }),
      tabs(endpoint.name, null),
      failure(endpoint),
      h("section", { class: "panel", "data-key": "numbers", "aria-label": "Numbers" }, numbers(endpoint, running)),
      endpoint.is_pipeline && pipeline(endpoint, running),
      modelsInMemory(running),
      components(endpoint, running),
      variants(endpoint, running),
      h("section", { "data-key": "charts", "aria-label": "Charts", class: "small-boards" },
        charts.map((each) => widget(each))),
      about(endpoint),
    ];
  },
};

export function failure(endpoint) {
  if (endpoint.failure_reason === null) return null;
  return h("p", { class: "note bad failure", "data-key": "failure", tabindex: "0", role: "region", "aria-label": "Why" },
    h("b", null, endpoint.status === "Failed" ? "It cannot be served: " : "The last update was rolled back: "),
    endpoint.failure_reason, " ",
    h("a", { href: to(["endpoints", endpoint.name, "logs"]) }, "What its containers printed"));
}

function numbers(endpoint, running) {
  const { requests, errors, latency } = endpoint.numbers;
  const queue = running?.queue;
  const hosting = endpoint.kind === "inference-component";
  const units = (hosting
    ? endpoint.variants.reduce((sum, each) => sum + (each.current ?? 0), 0)
    : running?.variants.reduce((sum, each) => sum + each.instances.length, 0)) ?? 0;
  const desired = endpoint.variants.reduce((sum, each) => sum + (each.desired ?? 0), 0);
  const serverless = endpoint.variants.some((each) => each.serverless !== null);
  return facts([
    serverless ? ["Environments", number(units)] : ["Instances", number(units), units === desired || hosting ? "" : `${number(desired)} wanted`],
    ["Requests", number(requests)],
    ["Errors", number(errors)],
    ["Model p50", seconds(latency?.p50_s)],
    ["Model p99", seconds(latency?.p99_s)],
    queue && ["Waiting", number(queue.waiting)],
    queue && ["In work", number(queue.processing + queue.delivering)],
    queue && ["Oldest waits", queue.waiting > 0 ? seconds(Math.round(queue.oldest_s)) : "–"],
  ].filter(Boolean));
}

function modelsInMemory(running) {
  const containers = (running?.variants ?? []).flatMap((variant) => variant.instances)
    .flatMap((instance) => instance.containers.map((container) => ({ ...container, instance: instance.id })))
    .filter((container) => container.models !== undefined);
  if (containers.length === 0) return null;
  return h("section", { class: "panel", "data-key": "models", "aria-labelledby": "models-title" },
    h("h2", { id: "models-title" }, "Models in memory"),
    containers.map((container) => h("div", { "data-key": container.instance },
      h("p", { class: "small muted" }, `${container.instance}: ${plural(container.models.length, "model")}`),
      container.models.length > 0 && h("ul", { class: "chips" }, container.models.map((name) => h("li", { "data-key": name }, name))))));
}

function components(endpoint, running) {
  if (endpoint.kind !== "inference-component") return null;
  const live_ = new Map((running?.components ?? []).map((each) => [each.name, each]));
  const rows = endpoint.components.map((each) => ({ ...each, ...live_.get(each.name) }));
  return h("section", { class: "panel", "data-key": "components", "aria-labelledby": "components-title" },
    h("h2", { id: "components-title" }, "Inference components"),
    rows.length === 0
      ? h("p", { class: "empty" }, "It hosts none yet: CreateInferenceComponent puts one here.")
      : table("Components, their copies, and their numbers in the chosen time", [
        { title: "Component", cell: (row) => row.name },
        { title: "Status", cell: (row) => badge(row.status) },
        { title: "Copies", number: true, cell: (row) => row.copies === row.desired_copies ? number(row.copies) : `${number(row.copies)} of ${number(row.desired_copies)}` },
        { title: "Traffic", cell: (row) => spark(row.numbers.sparks, `${number(row.numbers.requests)} requests in the chosen time`) },
        { title: "Requests", number: true, cell: (row) => number(row.numbers.requests) },
        { title: "Errors", number: true, cell: (row) => number(row.numbers.errors) },
        { title: "Model p50", number: true, cell: (row) => seconds(row.numbers.latency?.p50_s) },
        { title: "p99", number: true, cell: (row) => seconds(row.numbers.latency?.p99_s) },
        { title: "Open", cell: (row) => [
          h("a", { href: to(["endpoints", endpoint.name, "invoke"], { component: row.name }), "aria-label": `Invoke ${row.name}` }, "Invoke"), " ",
          h("a", { href: to(["endpoints", endpoint.name, "logs"], { component: row.name }), "aria-label": `Log of ${row.name}` }, "Log"),
        ] },
      ], rows, { key: (row) => row.name }),
    rows.filter((row) => row.failure_reason).map((row) =>
      h("p", { class: "note bad failure", "data-key": `failure-${row.name}`, tabindex: "0", role: "region", "aria-label": `Why ${row.name} has failed` },
        h("b", null, `${row.name}: `), row.failure_reason)));
}

function variants(endpoint, running) {
  return endpoint.variants.map((variant) => {
    const live_ = running?.variants.find((each) => each.name === variant.name);
    const rows = (live_?.instances ?? []).flatMap((instance) =>
      instance.containers.map((container) => ({ ...container, instance: instance.id, requests: instance.requests })));
    const id = `variant-${variant.name}`;
    return h("section", { class: "panel", "data-key": id, "aria-labelledby": id },
      h("h2", { id }, endpoint.variants.length > 1 ? `Variant ${variant.name}` : "Containers"),
      h("p", { class: "small muted wrap" }, described(variant, endpoint.variants.length > 1)),
      rows.length === 0
        ? h("p", { class: "empty" }, none(endpoint, variant, running?.queue))
        : table("What runs now", [
          { title: "Container", cell: (row) => row.component ?? row.name },
          { title: "Instance", cell: (row) => row.instance },
          { title: "State", cell: (row) => badge(row.state) },
          { title: "Requests now", number: true, cell: (row) => row.waiting ? `${row.requests} (${row.waiting} waiting)` : number(row.requests) },
          { title: "Memory", number: true, cell: (row) => bytes(row.memory_bytes) },
          { title: "Processes", cell: (row) => row.pids.join(", ") || "–" },
          { title: "Log", cell: (row) => h("a", { href: to(["endpoints", endpoint.name, "logs"], { component: row.component, stream: row.log_stream }), "aria-label": `Log of ${row.component ?? row.name} on ${row.instance}` }, "Log") },
        ], rows, { key: (row) => row.log_stream }));
  });
}

function described(variant, named) {
  const size = variant.serverless;
  const parts = [size === null
    ? `${plural(variant.current ?? 0, "instance")} of ${variant.instance_type}${variant.current === variant.desired ? "" : `, ${number(variant.desired)} wanted`}`
    : `Serverless: ${number(size.memory_mb)} MB, up to ${number(size.max_concurrency)} at once${size.provisioned ? `, ${number(size.provisioned)} provisioned` : ""}`];
  if (variant.model !== "") parts.push(`model ${variant.model}`);
  if (named) parts.push(`weight ${number(variant.weight)}`);
  return parts.join(" · ");
}

function none(endpoint, variant, queue) {
  if (endpoint.status === "Failed") return "Nothing runs: it could not be started.";
  if (variant.serverless !== null) return "No environment: the next request starts one.";
  if (queue?.waiting > 0) return "No instance yet: the waiting requests wake one as soon as scaling has seen them.";
  if (endpoint.kind === "async") return "No instance: it has scaled to zero, and a request in the queue wakes it.";
  return "No instance runs.";
}

function about(endpoint) {
  return h("details", { class: "panel", "data-key": "about" },
    h("summary", null, "What it is made of"),
    table("Containers of its models", [
      { title: "Container", cell: (each) => each.name },
      { title: "Image", cell: (each) => h("code", { class: "wrap" }, each.image) },
      { title: "Program", cell: (each) => each.program ?? "–" },
      { title: "Model data", cell: (each) => h("code", { class: "wrap" }, each.model_data ?? "–") },
    ], endpoint.containers, { key: (each) => `${each.variant}/${each.name}` }),
    h("p", { class: "small muted wrap" },
      `Configuration ${endpoint.config}; created ${moment(endpoint.created_s)}, changed ${moment(endpoint.modified_s)}. ${endpoint.arn}`));
}
