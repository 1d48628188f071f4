/* States in a word, a colour and a dot. */

import { h } from "../dom.js";

const TONES = {
  InService: "good", OK: "good", ready: "good", Successful: "good", idle: "good", busy: "good",
  Creating: "warn", Updating: "warn", SystemUpdating: "warn", RollingBack: "warn", starting: "warn", InProgress: "warn", Deleting: "warn",
  Failed: "bad", ALARM: "bad", OutOfService: "bad", UpdateRollbackFailed: "bad",
};
const WORDS = { INSUFFICIENT_DATA: "No data yet", InService: "In service", ALARM: "In alarm" };

export function badge(state) {
  const word = String(state ?? "unknown");
  const tone = TONES[word.split(",")[0]] ?? (word.includes("workers ready") ? "warn" : "");
  return h("span", { class: `badge ${tone}` }, WORDS[word] ?? word);
}
