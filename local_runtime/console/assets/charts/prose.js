/* The runtime has read the Markdown; here its tree becomes elements, of these tags alone. */

import { to } from "../address.js";
import { h } from "../dom.js";

const TAGS = new Set([
  "h4", "h5", "h6", "p", "ul", "ol", "li", "hr", "pre", "code", "blockquote",
  "table", "thead", "tbody", "tr", "th", "td", "strong", "em", "span",
]);

export function prose(nodes) {
  return nodes.map((node) => {
    if (typeof node === "string") return node;
    const children = prose(node.children);
    if (node.tag === "a") return link(node, children);
    return TAGS.has(node.tag) ? h(node.tag, null, children) : children;
  });
}

function link({ href, class: style }, children) {
  if (href.startsWith("#/")) {
    return h("a", { href: to(href.slice(2).split("/").map(decodeURIComponent)), class: style }, children);
  }
  if (!/^https?:\/\//.test(href)) return children;
  return h("a", { href, class: style, rel: "noreferrer noopener", target: "_blank" }, children);
}
