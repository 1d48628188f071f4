/* A few numbers as small columns. */

import { svg } from "../dom.js";

export function spark(values, label) {
  const top = Math.max(...values, 1);
  const width = 100 / values.length;
  return svg("svg", { class: "spark", viewBox: "0 0 100 24", preserveAspectRatio: "none", role: "img", "aria-label": label },
    svg("line", { x1: 0, x2: 100, y1: 23.5, y2: 23.5 }),
    values.map((value, at) => {
      const height = value === 0 ? 0 : Math.max(1.5, (value / top) * 22);
      return svg("rect", { x: at * width, y: 23 - height, width: width * 0.8, height });
    }));
}
