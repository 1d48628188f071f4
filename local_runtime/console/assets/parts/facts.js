/* Numbers with their names. */

import { h } from "../dom.js";

/** `entries`: `[name, value, remark]`; those without a value are left out. */
export function facts(entries) {
  return h("dl", { class: "facts" }, entries
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([name, value, remark]) => h("div", null,
      h("dt", null, name),
      h("dd", null, value, remark ? [" ", h("small", null, remark)] : null))));
}
