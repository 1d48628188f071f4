/* The colour of each line: its own, or the next of the set. */

const COLOURS = 10;
const OWN = /^#[0-9a-f]{3,8}$|^[a-z]+$/i;

/** A CSS colour for line `at`. */
export function colourOf(line, at) {
  return OWN.test(line.colour ?? "") ? line.colour : `var(--series-${(at % COLOURS) + 1})`;
}

let probe = null;

/** A CSS colour as a canvas takes it: variables and the present theme resolved. */
export function resolved(colour) {
  if (probe === null) {
    probe = document.createElement("span");
    probe.hidden = true;
    document.body.append(probe);
  }
  probe.style.color = "";
  probe.style.color = colour;
  return getComputedStyle(probe).color;
}

/** The same colour, lighter by its opacity: 0..1. */
export function faded(colour, opacity) {
  const parts = resolved(colour).match(/[\d.]+/g);
  return `rgba(${parts.slice(0, 3).join(", ")}, ${opacity})`;
}
