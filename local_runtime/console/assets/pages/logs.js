/* What an endpoint's containers print, as they print it. */

import { here, to } from "../address.js";
import { ask } from "../api.js";
import { h, patch } from "../dom.js";
import { plural } from "../format.js";
import { badge } from "../parts/badge.js";
import { heading, tabs } from "../parts/heading.js";
import { logLines } from "../parts/log_lines.js";
import { failure } from "./endpoint.js";

const EVERY_MS = 1000;
const MOST_LINES = 5000;

export const logsPage = {
  title: ({ name }) => `Logs of ${name}`,

  async load({ name, region }) {
    // The lines of an endpoint that is gone are still there.
    return await ask(`endpoints/${name}`, { region }).catch(() => null);
  },

  mount(content, endpoint, context) {
    const { name, region, parameters } = context;
    const hosted = (endpoint?.components ?? []).map((each) => each.name);
    // An endpoint of components has no containers of its own.
    const component = parameters.get("component") ?? hosted[0] ?? null;
    const stream = parameters.get("stream");
    const since = parameters.get("since");
    const list = h("ol");
    const box = h("div", { class: "log", tabindex: "0", role: "region", "aria-label": `Log lines of ${name}` }, list);
    const count = h("span", { class: "muted", role: "status" });
    const follow = h("input", { type: "checkbox", checked: true });
    const wanted = h("input", { type: "search", placeholder: "text", oninput: filter });
    const streams = h("select", { onchange: (event) => { location.hash = here({ stream: event.target.value || null, since: null }); } });
    const components = h("select", { onchange: (event) => { location.hash = here({ component: event.target.value, stream: null, since: null }); } },
      hosted.map((each) => h("option", { value: each, selected: each === component }, each)));
    let after = null;
    let lastStream = stream;  // one that was chosen needs no name above its lines
    let timer = null;
    let ended = false;

    patch(content,
      heading(name, { path: [["Overview", to([])]], aside: endpoint && badge(endpoint.status) }),
      tabs(name, "logs"),
      endpoint && failure(endpoint),
      h("section", { class: "panel", "aria-label": "Log" },
        h("div", { class: "tools" },
          hosted.length > 0 && h("label", null, "Component", components),
          h("label", null, "Container", streams),
          h("label", null, "Lines with", wanted),
          h("label", null, follow, "Follow the end"),
          count),
        since !== null && h("p", { class: "small" }, "Lines since a request was sent. ", h("a", { href: here({ since: null }) }, "Show earlier ones")),
        box));

    function filter() {
      const words = wanted.value.toLowerCase();
      for (const line of list.children) line.hidden = !line.textContent.toLowerCase().includes(words);
      tell();
    }

    function tell() {
      const shown = [...list.children].filter((line) => !line.hidden && line.className !== "from").length;
      count.textContent = list.children.length === 0 ? "Nothing was printed." : plural(shown, "line");
    }

    function add(lines) {
      if (lines.length > 0) {
        list.append(...logLines(lines, lastStream));
        lastStream = lines.at(-1).stream;
      }
      while (list.children.length > MOST_LINES) list.firstChild.remove();
      if (lines.length > 0 && wanted.value !== "") filter();
      tell();
      if (follow.checked) box.scrollTop = box.scrollHeight;
    }

    function offer(known) {
      if (document.activeElement === streams) return;
      const names = known.map((each) => each.name);
      if (stream !== null && !names.includes(stream)) names.push(stream);
      patch(streams, h("option", { value: "", "data-key": "all" }, "All"),
        names.map((each) => h("option", { value: each, "data-key": each }, each)));
      streams.value = stream ?? "";
    }

    async function look() {
      try {
        const found = await ask(`logs/${name}`, { region, component, stream, since, after });
        if (ended) return;
        offer(found.streams);
        add(found.lines);
        after = found.after;
      } catch (error) {
        count.textContent = `The log cannot be read: ${error.message}`;
      }
      if (!ended) timer = setTimeout(look, EVERY_MS);
    }

    void look();
    return () => {
      ended = true;
      clearTimeout(timer);
    };
  },
};
