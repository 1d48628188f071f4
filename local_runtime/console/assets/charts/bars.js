/* The latest value of each line as a bar. */

import { h } from "../dom.js";
import { amount } from "../format.js";
import { colourOf } from "./colours.js";

export function bars({ lines, axes }) {
  const top = axes.left.max ?? Math.max(...lines.map((line) => line.latest ?? 0), 0);
  return h("dl", { class: "bars" }, lines.map((line, at) => line.count > 0 &&
    h("div", { style: { "--stage": colourOf(line, at) } },
      h("dt", null, line.label),
      h("dd", null,
        h("div", { class: "track", "aria-hidden": "true" },
          h("span", { style: { width: `${top > 0 ? Math.max(0, Math.min(100, (line.latest / top) * 100)) : 0}%` } })),
        h("b", null, amount(line.latest, line.unit))))));
}
