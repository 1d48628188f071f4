/* What an endpoint has answered. */

import { h } from "../dom.js";
import { bytes, number, seconds } from "../format.js";

const MOST_CHARACTERS = 100_000;

export function answered({ status, headers, content, seconds: took }) {
  const type = new Map(headers).get("content-type") ?? "";
  return [
    h("p", null, h("span", { class: `badge ${status < 300 ? "good" : "bad"}` }, `HTTP ${status}`), " ",
      h("b", null, seconds(took)), h("span", { class: "muted" }, ` in the browser · ${bytes(content.length)}${type ? ` of ${type}` : ""}`)),
    said(text(content)),
    save(content, type),
    h("details", { class: "data" }, h("summary", null, "Headers"),
      h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Headers of the answer" }, h("table", null,
        h("thead", null, h("tr", null, h("th", { scope: "col" }, "Header"), h("th", { scope: "col" }, "Value"))),
        h("tbody", null, headers.map(([name, value]) => h("tr", null, h("th", { scope: "row" }, name), h("td", { class: "wrap" }, value))))))),
  ];
}

/** A container's own words, where an error carries them inside its JSON. */
function said(found) {
  const original = parsed(found)?.OriginalMessage;
  if (typeof original !== "string") return body(found);
  return [
    h("p", { class: "small muted" }, "The container said:"),
    body(original),
    h("details", { class: "data" }, h("summary", null, "The whole answer"), body(found)),
  ];
}

/** The object that answers an asynchronous request, or that it is not there yet. */
export function stored(object, location, waited, isFailure) {
  if (!object) return h("p", { class: "note" }, `In the queue for ${seconds(Math.round(waited))}; the answer will be at ${location}`);
  return [
    h("p", null, h("span", { class: `badge ${isFailure ? "bad" : "good"}` }, isFailure ? "Failed" : "Answered"), " ",
      h("b", null, `after ${seconds(waited)}`), h("span", { class: "muted wrap" }, ` · ${object.location}`)),
    body(object.text, object.whole ? null : object.bytes),
  ];
}

/** The answer as a file: what is no text, or too long to be read here. */
function save(content, type) {
  if (content.length === 0) return null;
  const link = h("a", {
    href: "#",
    download: "answer",
    onclick: (event) => {
      if (event.currentTarget.href.startsWith("blob:")) return;
      event.preventDefault();
      event.currentTarget.href = URL.createObjectURL(new Blob([content], { type }));
      event.currentTarget.click();
    },
  }, "Save the answer");
  return h("p", { class: "small" }, link);
}

export function failed(error) {
  return h("p", { class: "note bad" }, `There is no answer: ${error.message}.`);
}

/** `wholeBytes`: how long the body is, where `found` is only its beginning. */
function body(found, wholeBytes = null) {
  if (found === null) return h("p", { class: "empty" }, "The body is not text.");
  if (found === "") return h("p", { class: "empty" }, "The body is empty.");
  const shown = indented(found);
  const cut = shown.length > MOST_CHARACTERS;
  return [
    h("pre", { class: "body", tabindex: "0", role: "region", "aria-label": "Body" }, shown.slice(0, MOST_CHARACTERS)),
    (cut || wholeBytes !== null) && h("p", { class: "small muted" },
      `This is its beginning: ${number(Math.min(shown.length, MOST_CHARACTERS))} of ${wholeBytes === null ? `${number(shown.length)} characters` : bytes(wholeBytes)}.`),
  ];
}

function indented(found) {
  const document = parsed(found);
  return document === undefined ? found : JSON.stringify(document, null, 2);
}

function parsed(found) {
  try {
    return JSON.parse(found);
  } catch {
    return undefined;
  }
}

function text(content) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(content);
  } catch {
    return null;
  }
}
