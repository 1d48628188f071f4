/* Levels and moments across a chart, with their names. */

import { amount, moment } from "../format.js";
import { faded, resolved } from "./colours.js";

const LEVEL = "var(--series-4)";
const MOMENT = "var(--series-5)";

export function marks(plot, { levels, moments, axes }) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
  const named = [];  // heights that have a name already
  for (const level of levels) drawLevel(plot, level, axes[level.axis].unit, named);
  const told = [];  // where names of moments end
  for (const mark of moments) drawMoment(plot, mark, told);
  ctx.restore();
}

function drawLevel(plot, level, unit, named) {
  const { ctx, bbox } = plot;
  if (plot.scales[level.axis] === undefined) return;
  const places = level.values.map((value) => plot.valToPos(value, level.axis, true));
  const low = Math.max(...places);
  const high = Math.min(...places);
  ctx.fillStyle = faded(level.colour ?? LEVEL, 0.1);
  if (level.fill === "above") ctx.fillRect(bbox.left, bbox.top, bbox.width, high - bbox.top);
  if (level.fill === "below") ctx.fillRect(bbox.left, low, bbox.width, bbox.top + bbox.height - low);
  if (level.fill === "between") ctx.fillRect(bbox.left, high, bbox.width, low - high);
  stroke(plot, level.colour ?? LEVEL, places.map((y) => [bbox.left, y, bbox.left + bbox.width, y]));
  const name = level.labels.join(" – ") || level.values.map((value) => amount(value, unit)).join(" – ");
  const near = named.filter((height) => Math.abs(height - high) < 14 * devicePixelRatio).length;
  named.push(high);
  // Two names have room at a height: above and below the line, or both below one at the top. The
  // table has the others.
  if (near > 1) return;
  const offsets = high > bbox.top + 18 * devicePixelRatio ? [-5, 13] : [13, 26];
  write(plot, name, bbox.left + 6 * devicePixelRatio, high + offsets[near] * devicePixelRatio, "left");
}

function drawMoment(plot, mark, told) {
  const { ctx, bbox } = plot;
  const places = mark.values.map((value) => plot.valToPos(value, "x", true));
  const [first, last] = [Math.min(...places), Math.max(...places)];
  ctx.fillStyle = faded(mark.colour ?? MOMENT, 0.1);
  if (mark.fill === "between") ctx.fillRect(first, bbox.top, last - first, bbox.height);
  if (mark.fill === "before") ctx.fillRect(bbox.left, bbox.top, first - bbox.left, bbox.height);
  if (mark.fill === "after") ctx.fillRect(last, bbox.top, bbox.left + bbox.width - last, bbox.height);
  stroke(plot, mark.colour ?? MOMENT, places.map((x) => [x, bbox.top, x, bbox.top + bbox.height]));
  const name = mark.labels.join(" – ") || moment(mark.values[0]);
  const right = first > bbox.left + bbox.width * 0.7;
  const width = ctx.measureText(name).width;
  const from = right ? first - width : first;
  // Names that would cover one another are left to the line alone.
  if (last < bbox.left || told.some((other) => from < other.to && other.from < from + width)) return;
  told.push({ from, to: from + width });
  write(plot, name, first + (right ? -5 : 5) * devicePixelRatio, bbox.top + 13 * devicePixelRatio, right ? "right" : "left");
}

function stroke({ ctx }, colour, lines) {
  ctx.strokeStyle = resolved(colour);
  ctx.lineWidth = 1.25 * devicePixelRatio;
  ctx.setLineDash([5 * devicePixelRatio, 4 * devicePixelRatio]);
  for (const [x1, y1, x2, y2] of lines) {
    ctx.beginPath();
    ctx.moveTo(x1, y1);
    ctx.lineTo(x2, y2);
    ctx.stroke();
  }
  ctx.setLineDash([]);
}

/** Letters with a rim of the panel's colour, readable across lines. */
function write({ ctx }, text, x, y, align) {
  ctx.textAlign = align;
  ctx.lineJoin = "round";
  ctx.lineWidth = 3 * devicePixelRatio;
  ctx.strokeStyle = resolved("var(--panel)");
  ctx.strokeText(text, x, y);
  ctx.fillStyle = resolved("var(--text)");
  ctx.fillText(text, x, y);
}
