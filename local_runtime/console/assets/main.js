/* Shows the page that the address names, and shows it anew as things change. */

import { ask, Refused, Unreachable } from "./api.js";
import { read, to } from "./address.js";
import { h, patch } from "./dom.js";
import { kept, keep, themeButton } from "./settings.js";
import { alarmPage, alarmsPage } from "./pages/alarms.js";
import { dashboardPage, dashboardsPage } from "./pages/dashboards.js";
import { endpointPage } from "./pages/endpoint.js";
import { invokePage } from "./pages/invoke.js";
import { logsPage } from "./pages/logs.js";
import { overviewPage } from "./pages/overview.js";
import { scalingPage } from "./pages/scaling.js";

const content = document.getElementById("content");
const trouble = document.getElementById("trouble");
const refresh = document.getElementById("refresh");
const region = document.getElementById("region");

let runtime = null;
let shown = null;  // the address of the page that is shown
let stop = null;  // ends what a page does by itself
let waiting = null;
let turn = 0;

/** A page is `{load, view}`, drawn again and again, or `{mount}`, which looks after itself. */
function pageAt(parts) {
  const [first, name, third] = parts;
  if (first === undefined) return overviewPage;
  if (first === "endpoints" && name !== undefined) {
    return { invoke: invokePage, logs: logsPage, scaling: scalingPage }[third] ?? endpointPage;
  }
  if (first === "alarms") return name === undefined ? alarmsPage : alarmPage;
  if (first === "dashboards") return name === undefined ? dashboardsPage : dashboardPage;
  return { title: () => "No such page", view: () => h("h1", null, "No such page"), load: async () => ({}) };
}

async function show() {
  clearTimeout(waiting);
  const mine = ++turn;
  const { parts, parameters } = read();
  const page = pageAt(parts);
  const context = {
    parts,
    name: parts[1],
    region: parameters.get("region") ?? runtime?.default_region ?? "us-east-1",
    range: parameters.get("range"),
    parameters,
    runtime,
    again: () => void show(),
  };
  const address = `${parts.join("/")}?${parameters.get("region")}`;
  const isNew = address !== shown || page.mount !== undefined;
  try {
    runtime = context.runtime = await ask("runtime");
    const found = await page.load(context);
    if (mine !== turn) return;
    if (isNew) begin(page, context, address);
    if (page.mount) stop = page.mount(content, found, context);
    else patch(content, page.view(found, context));
    if (isNew && page.mount === undefined) focusHeading();
    say(null);
  } catch (error) {
    if (mine !== turn) return;
    if (isNew) begin(page, context, address);
    if (error instanceof Refused) patch(content, h("h1", { tabindex: "-1" }, page.title(context)), h("p", { class: "note warn" }, error.message));
    else if (error instanceof Unreachable) say("The runtime does not answer. It is asked again.");
    else throw error;
  } finally {
    if (mine === turn) {
      frame(parts);
      const pause = Number(refresh.value);
      if (page.mount === undefined && pause > 0) waiting = setTimeout(later, pause * 1000);
    }
  }
}

function later() {
  // Nobody looks at a hidden page; it is drawn as soon as somebody does.
  if (document.hidden) document.addEventListener("visibilitychange", () => void show(), { once: true });
  else void show();
}

function begin(page, context, address) {
  stop?.();
  stop = null;
  const first = shown === null;
  shown = address;
  content.replaceChildren();
  document.title = `${page.title(context)} – Local runtime`;
  if (!first) scrollTo(0, 0);
  content.dataset.first = first ? "yes" : "";
}

/** Whoever does not see the page hears where they are; the first page is announced anyway. */
function focusHeading() {
  if (content.dataset.first === "yes") return;
  content.querySelector("h1")?.focus({ preventScroll: true });
}

function say(text) {
  trouble.hidden = text === null;
  trouble.textContent = text ?? "";
}

/** The top of the page: where one is, which regions there are, how fast the clock runs. */
function frame(parts) {
  for (const link of document.querySelectorAll(".top nav a")) {
    const target = link.dataset.page;
    link.href = to(target === "" ? [] : [target]);
    const current = target === (parts[0] ?? "") || (target === "" && parts[0] === "endpoints");
    if (current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (runtime === null) return;
  const own = read().parameters.get("region") ?? runtime.default_region;
  const regions = runtime.regions.includes(own) ? runtime.regions : [...runtime.regions, own];
  document.getElementById("region-label").hidden = regions.length < 2;
  if (document.activeElement !== region) {
    region.replaceChildren(...regions.map((name) => h("option", { value: name, selected: name === own }, name)));
  }
  document.getElementById("clock").textContent = runtime.speed === 1 ? "" : `Clock × ${runtime.speed}`;
}

region.onchange = () => {
  const [first] = read().parts;
  // What has a name in one region need not be in the other.
  const chosen = region.value === runtime.default_region ? null : region.value;
  location.hash = to(first === undefined || first === "endpoints" ? [] : [first], { region: chosen });
};
refresh.value = kept("refresh", "2");
refresh.onchange = () => {
  keep("refresh", refresh.value);
  void show();
};
themeButton(document.getElementById("theme"));
addEventListener("hashchange", () => void show());
void show();
