/* The address says what is shown: `#/endpoints/NAME/logs?region=…&range=…`. */

/** The parts of the present address. */
export function read() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  return {
    parts: path.split("/").filter(Boolean).map(decoded),
    parameters: new URLSearchParams(query),
  };
}

/** An address may be typed by hand, and have a per cent sign that escapes nothing. */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** An address in the console; it keeps the region. */
export function to(parts, parameters = {}) {
  const query = new URLSearchParams();
  const region = read().parameters.get("region");
  if (region) query.set("region", region);
  for (const [name, value] of Object.entries(parameters)) {
    if (value === null || value === undefined) query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  return `#/${parts.map(encodeURIComponent).join("/")}${text ? `?${text}` : ""}`;
}

/** This page with other parameters. */
export function here(changes) {
  const { parts, parameters } = read();
  return to(parts, { ...Object.fromEntries(parameters), ...changes });
}
