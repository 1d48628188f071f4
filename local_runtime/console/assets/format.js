/* Numbers, durations and moments as a person reads them. */

const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const DURATIONS = { Microseconds: 1e-6, Milliseconds: 1e-3, Seconds: 1 };
const BYTES = { Bytes: 1, Kilobytes: 1e3, Megabytes: 1e6, Gigabytes: 1e9 };

/** A value in CloudWatch's unit: times in what suits them, bytes too. */
export function amount(value, unit) {
  if (value === null || value === undefined) return "–";
  if (unit in DURATIONS) return seconds(value * DURATIONS[unit]);
  if (unit in BYTES) return bytes(value * BYTES[unit]);
  if (unit === "Percent") return `${number(value)} %`;
  if (unit === undefined || unit === null || unit === "None" || unit === "Count") return number(value);
  return `${number(value)} ${unit.replace("/Second", "/s")}`;
}

export function number(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size >= 10000) return compact.format(value);
  if (Number.isInteger(value)) return value.toLocaleString("en");
  if (size >= 100) return value.toFixed(0);
  return String(Number(value.toPrecision(3)));
}

/** A length of time. */
export function seconds(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size < 1e-3) return `${number(value * 1e6)} µs`;
  if (size < 1) return `${number(value * 1e3)} ms`;
  if (size < 120) return `${number(value)} s`;
  if (size < 7200) return `${number(value / 60)} min`;
  if (size < 172800) return `${number(value / 3600)} h`;
  return `${number(value / 86400)} d`;
}

export function bytes(value) {
  if (value < 1024) return `${number(value)} B`;
  const steps = ["KiB", "MiB", "GiB", "TiB"];
  let size = value;
  let step = -1;
  while (size >= 1024 && step < steps.length - 1) {
    size /= 1024;
    step += 1;
  }
  return `${size >= 100 ? size.toFixed(0) : size.toFixed(1)} ${steps[step]}`;
}

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const minutes = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/** A moment: its time, with the day where that is not today's. */
export function moment(whenS) {
  if (whenS === null || whenS === undefined) return "–";
  const when = new Date(whenS * 1000);
  const today = new Date().toDateString() === when.toDateString();
  return today ? clock.format(when) : `${day.format(when)}, ${clock.format(when)}`;
}

/** The same with thousandths, for lines of a log. */
export function exact(whenS) {
  const when = new Date(whenS * 1000);
  return `${clock.format(when)}.${String(when.getMilliseconds()).padStart(3, "0")}`;
}

/** A tick of a time axis whose ticks are `stepS` apart. */
export function tick(whenS, stepS) {
  const when = new Date(whenS * 1000);
  if (stepS >= 86400) return day.format(when);
  return stepS < 60 ? clock.format(when) : minutes.format(when);
}

/** How long ago. */
export function ago(whenS) {
  return `${seconds(Math.max(0, Math.round(Date.now() / 1000 - whenS)))} ago`;
}

export function plural(count, noun) {
  return `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
}
