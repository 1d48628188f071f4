/* One line that a container has printed. */

import { h } from "../dom.js";
import { exact } from "../format.js";

const TROUBLE = /\b(error|exception|traceback|critical|fatal|killed)\b|Error:/i;

export function logLine({ time_s: when, stream, text }, withStream) {
  return h("li", { class: TROUBLE.test(text) ? "error" : null },
    h("time", { datetime: new Date(when * 1000).toISOString() }, exact(when)),
    h("span", { class: "text" }, text),
    withStream && h("span", { class: "from" }, stream));
}
