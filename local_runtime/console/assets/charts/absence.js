/* Lines without values: since when, and what may be the reason. */

import { h } from "../dom.js";
import { moment } from "../format.js";

export function absences({ lines }) {
  const absent = lines.filter((line) => line.count === 0);
  if (absent.length === 0) return null;
  const reasons = new Map();
  for (const line of absent) {
    const why = reason(line.absence);
    reasons.set(why, [...(reasons.get(why) ?? []), line.label]);
  }
  return h("ul", { class: "absent" }, [...reasons].map(([why, names]) =>
    h("li", null, h("b", null, names.join(", ")), `: ${why}`)));
}

function reason({ reason: why, seen_s: seen, known }) {
  if (why === "quiet") return `no data in this time; the last came at ${moment(seen)}`;
  if (why === "expression") return "no value in this time: what it is calculated from has none";
  if (why === "other-dimensions") return `never recorded with these dimensions; this metric comes with ${known.join(", or with ")}`;
  return "nothing was recorded yet";
}
