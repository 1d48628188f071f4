/* Lines without values: since when, and what may be the reason. */

import { h } from "../dom.js";
import { moment } from "../format.js";

export function absences({ lines }, hasData) {
  const absent = lines.filter((line) => line.count === 0);
  if (absent.length === 0) return null;
  // Beside lines that are drawn, one remark says which are not.
  return h("ul", { class: "absent" }, absent.map((line) =>
    h("li", null, h("b", null, line.label), `: ${reason(line.absence, hasData)}`)));
}

function reason({ reason: why, seen_s: seen, known }) {
  if (why === "quiet") return `no data in this time; the last came at ${moment(seen)}`;
  if (why === "expression") return "no value in this time: what it is calculated from has none";
  if (why === "other-dimensions") return `never recorded with these dimensions; recorded with ${known.join(" and with ")}`;
  return "nothing was recorded yet";
}
