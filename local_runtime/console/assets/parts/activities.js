/* What scaling has done, and why. */

import { to } from "../address.js";
import { h } from "../dom.js";
import { moment, seconds } from "../format.js";
import { badge } from "./badge.js";

export function activityList(activities, { brief = false } = {}) {
  if (activities.length === 0) return h("p", { class: "empty" }, "Nothing has been scaled.");
  return h("ol", { class: "plain-list" }, activities.map((each) =>
    h("li", { "data-key": `${each.endpoint}${each.scaled}${each.begun_s}` },
      h("div", null,
        badge(each.not_scaled.length > 0 ? "Not scaled" : each.status), " ", each.description,
        brief && each.endpoint !== null && [" ", h("a", { href: to(["endpoints", each.endpoint, "scaling"]) }, each.endpoint)]),
      h("p", { class: "small muted wrap" },
        moment(each.begun_s),
        each.ended_s !== null && each.ended_s !== undefined && each.not_scaled.length === 0 && `, took ${seconds(each.ended_s - each.begun_s)}`,
        !brief && `. ${each.cause}`,
        each.not_scaled.length > 0 && ` (${each.not_scaled.join(", ")})`))));
}
