/* What containers have printed. */

import { h } from "../dom.js";
import { exact } from "../format.js";

const TROUBLE = /\b(error|exception|traceback|critical|fatal|killed)\b|Error:/i;

/** Lines, with the name of a stream where it is another's than the line before. */
export function logLines(lines, before = null) {
  return lines.flatMap((line, at) => {
    const last = at === 0 ? before : lines[at - 1].stream;
    return line.stream === last ? [logLine(line)] : [h("li", { class: "from" }, line.stream), logLine(line)];
  });
}

function logLine({ time_s: when, text }) {
  return h("li", { class: TROUBLE.test(text) ? "error" : null },
    h("time", { datetime: new Date(when * 1000).toISOString() }, exact(when)),
    h("span", { class: "text" }, text));
}
