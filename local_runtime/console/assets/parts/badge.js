/* States in a word, a colour and a dot. */

import { h } from "../dom.js";

const TONES = {
  InService: "good", OK: "good", ready: "good", Successful: "good", idle: "good", busy: "good",
  Creating: "warn", Updating: "warn", SystemUpdating: "warn", RollingBack: "warn", starting: "warn", InProgress: "warn", Deleting: "warn",
  Failed: "bad", ALARM: "bad", OutOfService: "bad", UpdateRollbackFailed: "bad",
};
const WORDS = { INSUFFICIENT_DATA: "No data yet", InService: "In service", ALARM: "In alarm" };

/** `tone`: instead of the state's own. */
export function badge(state, tone) {
  const word = String(state ?? "unknown");
  const own = TONES[word.split(",")[0]] ?? (word.includes("workers ready") ? "warn" : "");
  return h("span", { class: `badge ${tone ?? own}` }, WORDS[word] ?? word);
}
