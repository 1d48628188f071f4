/* The head of a page, and the tabs of an endpoint. */

import { here, to } from "../address.js";
import { h } from "../dom.js";
import { seconds } from "../format.js";

const RANGES = [["PT15M", 900], ["PT1H", 3600], ["PT3H", 10800], ["PT12H", 43200], ["P1D", 86400], ["P1W", 604800]];

export function heading(title, { path = [], aside = [] } = {}) {
  return h("div", { class: "title" },
    path.length > 0 && h("nav", { class: "path", "aria-label": "Where you are" },
      path.map(([name, address]) => [h("a", { href: address }, name), " / "])),
    h("h1", { tabindex: "-1" }, title),
    aside);
}

/** Which stretch of time; with a fast clock, how long that is on the wall. */
export function rangePicker(context, current) {
  const speed = context.runtime.speed;
  const known = RANGES.some(([code]) => code === current) ? RANGES : [[current, null], ...RANGES];
  return h("label", { class: "push small muted" }, "Last ",
    h("select", { onchange: (event) => { location.hash = here({ range: event.target.value }); } },
      known.map(([code, length]) => h("option", { value: code, selected: code === current },
        length === null ? code.replace(/^P(T)?/, "").toLowerCase()
          : speed === 1 ? seconds(length) : `${seconds(length)} of service (${seconds(length / speed)})`))));
}

const TABS = [["Overview", null], ["Invoke", "invoke"], ["Logs", "logs"], ["Scaling and alarms", "scaling"]];

export function tabs(name, current) {
  return h("nav", { class: "tabs", "aria-label": `Endpoint ${name}` }, TABS.map(([title, part]) =>
    h("a", {
      href: to(["endpoints", name, ...(part === null ? [] : [part])]),
      "aria-current": part === current ? "page" : null,
    }, title)));
}
