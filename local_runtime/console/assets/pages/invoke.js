/* A form that sends a request to an endpoint, and shows what comes back. */

import { to } from "../address.js";
import { ask, invoke, Refused, Unreachable } from "../api.js";
import { h, patch } from "../dom.js";
import { badge } from "../parts/badge.js";
import { heading, tabs } from "../parts/heading.js";
import { answered, failed, stored } from "../parts/answer.js";
import { kept, keep } from "../settings.js";
import { logLines } from "../parts/log_lines.js";
import { failure } from "./endpoint.js";

const TYPES = ["application/json", "text/csv", "text/plain", "application/jsonlines", "application/x-npy", "application/octet-stream", "image/png"];
const PREFIX = "X-Amzn-SageMaker-";
// What a header can carry.
const PRINTABLE = { pattern: "[ -~]*", title: "Letters, digits and signs of ASCII" };
const STORED_EVERY_MS = 700;
const STORED_LOOKS = 600;
const LINES_AFTER_MS = 900;
const MOST_LINES = 40;

export const invokePage = {
  title: ({ name }) => `Invoke ${name}`,

  async load({ name, region }) {
    const [endpoint, { models }] = await Promise.all([ask(`endpoints/${name}`, { region }), ask(`models/${name}`, { region })]);
    return { endpoint, models };
  },

  mount(content, { endpoint, models }, { name, region, parameters }) {
    const queued = endpoint.kind === "async";
    const last = JSON.parse(kept(`request.${name}`, "{}"));
    const payload = h("textarea", { name: "payload", spellcheck: "false", value: last.payload ?? "" });
    const file = h("input", { type: "file", name: "file" });
    const type = h("input", { name: "content-type", ...PRINTABLE, list: "types", value: last.type ?? TYPES[0], required: true });
    const accept = h("input", { name: "accept", ...PRINTABLE, list: "types", value: last.accept ?? "", placeholder: "as the model chooses" });
    const model = endpoint.kind === "multi-model" ? h("input", { name: "model", ...PRINTABLE, list: "models", value: last.model ?? models[0] ?? "", required: true }) : null;
    const variant = endpoint.variants.length > 1 ? choice("variant", endpoint.variants.map((each) => each.name), "by weight") : null;
    const container = endpoint.is_direct ? choice("container", endpoint.containers.map((each) => each.name), null) : null;
    const component = endpoint.kind === "inference-component" ? choice("component", endpoint.components.map((each) => each.name), null) : null;
    if (component !== null) component.required = true;
    if (component !== null && parameters.has("component")) component.value = parameters.get("component");
    const send = h("button", { type: "submit", class: "primary" }, queued ? "Put into the queue" : "Send");
    const result = h("section", { class: "panel", "aria-live": "polite", "aria-label": "Answer", hidden: true });
    let current = 0;

    file.onchange = () => {
      payload.disabled = file.files.length > 0;
      if (file.files[0]?.type) type.value = file.files[0].type;
    };
    patch(content,
      heading(name, { path: [["Overview", to([])]], aside: [badge(endpoint.status), h("span", { class: "badge plain" }, endpoint.kind)] }),
      tabs(name, "invoke"),
      failure(endpoint),
      h("section", { class: "panel", "aria-label": "Request" },
        h("form", { class: "invoke", onsubmit: submit },
          h("label", { class: "wide" }, "Payload", payload),
          h("label", null, ["or a file"], file),
          h("label", null, "Content type", type),
          h("label", null, "Accept", accept),
          model && h("label", null, "Target model", model),
          variant && h("label", null, "Target variant", variant),
          container && h("label", null, "Target container", container),
          component && h("label", null, "Inference component", component),
          h("datalist", { id: "types" }, TYPES.map((each) => h("option", { value: each }))),
          h("datalist", { id: "models" }, models.map((each) => h("option", { value: each }))),
          h("div", { class: "wide" }, send))),
      result);

    async function submit(event) {
      event.preventDefault();
      const mine = ++current;
      const begunS = Date.now() / 1000;
      keep(`request.${name}`, JSON.stringify({ payload: payload.value.length < 20000 ? payload.value : "", type: type.value, accept: accept.value, model: model?.value }));
      send.disabled = true;
      result.hidden = false;
      patch(result, h("h2", null, "Answer"), h("p", { class: "muted" }, "Waiting for the endpoint …"));
      try {
        const reply = await invoke({ endpoint: name, region, queued, headers: headers(), body: file.files[0] ?? payload.value });
        if (mine !== current) return;
        const lines = h("div");
        const later = h("div");
        patch(result, h("h2", null, "Answer"), answered(reply));
        result.append(later, lines);
        if (queued && reply.status < 300) await follow(later, reply, mine);
        await printed(lines, { component: component?.value, since: begunS }, mine);
      } catch (error) {
        if (!(error instanceof Unreachable || error instanceof Refused)) throw error;
        patch(result, h("h2", null, "Answer"), failed(error));
      } finally {
        send.disabled = false;
      }
    }

    function headers() {
      const prefix = queued ? PREFIX : "";  // an asynchronous request speaks of its body in headers of its own
      const all = {
        [`${prefix}Content-Type`]: type.value,
        [`${prefix}Accept`]: accept.value,
        [`${PREFIX}Target-Model`]: model?.value,
        [`${PREFIX}Target-Variant`]: variant?.value,
        [`${PREFIX}Target-Container-Hostname`]: container?.value,
        [`${PREFIX}Inference-Component`]: component?.value,
      };
      return Object.fromEntries(Object.entries(all).filter(([, value]) => value));
    }

    /** The answer of an asynchronous request is an object that appears some time later. */
    async function follow(place, reply, mine) {
      const found = new Map(reply.headers);
      const places = ["outputlocation", "failurelocation"].map((each) => found.get(PREFIX.toLowerCase() + each)).filter(Boolean);
      send.disabled = false;
      const begun = performance.now();
      for (let looks = 0; looks < STORED_LOOKS && mine === current && place.isConnected; looks += 1) {
        const objects = await Promise.all(places.map((location_) => ask("object", { location: location_, region })));
        const there = objects.find((each) => each.exists);
        patch(place, stored(there, places[0], (performance.now() - begun) / 1000, there?.location !== places[0]));
        if (there) return;
        await pause(STORED_EVERY_MS);
      }
    }

    /** What the containers have printed since; they write on their own time. */
    async function printed(place, where, mine) {
      await pause(LINES_AFTER_MS);
      if (mine !== current) return;
      const { lines } = await ask(`logs/${name}`, { region, ...where });
      patch(place,
        h("h3", null, "Printed meanwhile"),
        lines.length === 0
          ? h("p", { class: "empty" }, "Its containers have printed nothing.")
          : h("div", { class: "log short", tabindex: "0", role: "region", "aria-label": "Printed meanwhile" },
            h("ol", null, logLines(lines.slice(-MOST_LINES)))),
        h("p", { class: "small" }, h("a", { href: to(["endpoints", name, "logs"], where) }, "Log lines since this request")));
    }

    return () => {
      current += 1;
    };
  },
};

function choice(name, values, none) {
  return h("select", { name }, none !== null && h("option", { value: "" }, none), values.map((each) => h("option", { value: each }, each)));
}

function pause(ms) {
  return new Promise((done) => { setTimeout(done, ms); });
}
