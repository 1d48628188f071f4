/* A table whose rows become cards on a phone. */

import { h } from "../dom.js";

/** `columns`: `{title, cell(row), number}`; the first is the row's name. */
export function table(caption, columns, rows, { key } = {}) {
  return h("div", { class: "scroll" },
    h("table", { class: "cards" },
      h("caption", { class: "sr" }, caption),
      h("thead", null, h("tr", null, columns.map((column) =>
        h("th", { scope: "col", class: column.number ? "number" : null }, column.title)))),
      h("tbody", null, rows.map((row) =>
        h("tr", { "data-key": key ? key(row) : null }, columns.map((column, at) =>
          at === 0
            ? h("th", { scope: "row" }, column.cell(row))
            : h("td", { class: column.number ? "number" : null, "data-label": column.title }, column.cell(row))))))));
}
