/* Lines without values, since when and why; and those that could not be drawn. */

import { h } from "../dom.js";
import { moment } from "../format.js";

export function absences({ lines, left_out: leftOut }) {
  const reasons = new Map();
  const tell = (why, label) => reasons.set(why, [...(reasons.get(why) ?? []), label]);
  for (const line of lines) if (line.count === 0) tell(reason(line.absence), line.label);
  for (const line of leftOut) tell(`not drawn: ${line.reason}`, line.label);
  if (reasons.size === 0) return null;
  return h("ul", { class: "absent" }, [...reasons].map(([why, names]) =>
    h("li", null, h("b", null, names.join(", ")), `: ${why}`)));
}

function reason({ reason: why, seen_s: seen, known }) {
  if (why === "quiet") return `no data in this time; the last came at ${moment(seen)}`;
  if (why === "expression" && seen !== null) return `no value in this time; what it is calculated from last came at ${moment(seen)}`;
  if (why === "expression") return "nothing that it is calculated from was recorded yet";
  if (why === "other-dimensions") return `never recorded with these dimensions; this metric comes with ${known.join(", or with ")}`;
  return "nothing was recorded yet";
}
