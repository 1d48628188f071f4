/* A pipeline as its containers, with the time that each takes of the whole. */

import { to } from "../address.js";
import { h } from "../dom.js";
import { number, seconds } from "../format.js";
import { badge } from "./badge.js";

export function pipeline(endpoint, running) {
  const variants = [...new Set(endpoint.containers.map((each) => each.variant))];
  return variants.map((variant) => {
    const stages = endpoint.containers.filter((each) => each.variant === variant);
    const id = `pipeline-${variant}`;
    return h("section", { class: "panel", "data-key": id, "aria-labelledby": id },
      h("h2", { id }, variants.length > 1 ? `Pipeline of ${variant}` : "Pipeline"),
      h("ol", { class: "pipeline" }, stages.map((stage, at) => drawn(endpoint, stage, at, running))),
      shares(stages, variants.length === 1 ? endpoint.overhead : null));
  });
}

function drawn(endpoint, stage, at, running) {
  const live = (running?.variants ?? []).filter((each) => each.name === stage.variant)
    .flatMap((each) => each.instances).flatMap((each) => each.containers).find((each) => each.name === stage.name);
  return h("li", { "data-key": stage.name },
    h("div", { class: "stage", style: { "--stage": `var(--series-${at + 1})` } },
      h("b", null, stage.name),
      h("span", { class: "time" }, stage.latency === null ? "–" : seconds(stage.latency.average_s)),
      h("div", { class: "small muted" }, stage.latency === null ? "no request yet" : `on average, ${number(stage.latency.count)} requests`),
      h("div", { class: "small" },
        live === undefined ? null : [badge(live.state), " "],
        h("a", {
          href: to(["endpoints", endpoint.name, "logs"], live === undefined ? {} : { stream: live.log_stream }),
          "aria-label": `Log of ${stage.name}`,
        }, "Log"))));
}

function shares(stages, overhead) {
  const parts = stages.map((stage, at) => ({ name: stage.name, time: stage.latency?.average_s ?? 0, colour: `var(--series-${at + 1})` }));
  if (overhead !== null) parts.push({ name: "Overhead of the endpoint", time: overhead.average_s, colour: "var(--line-strong)" });
  const whole = parts.reduce((sum, part) => sum + part.time, 0);
  if (whole === 0) return null;
  const share = (part) => `${Math.round((part.time / whole) * 100)} %`;
  return [
    h("div", { class: "shares", role: "img", "aria-label": `Where the time goes: ${parts.map((part) => `${part.name} ${share(part)}`).join(", ")}` },
      parts.map((part) => h("span", { style: { "--stage": part.colour, "flex": `${(part.time / whole) * 1000} 0 0` } }))),
    h("ul", { class: "legend" }, parts.map((part) =>
      h("li", { style: { "--stage": part.colour } }, h("i"), part.name, h("b", null, `${seconds(part.time)} · ${share(part)}`)))),
  ];
}
