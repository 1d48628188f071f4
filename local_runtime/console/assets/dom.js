/* Elements from plain calls, and pages that change without losing focus, scroll or open parts. */

const PROPERTIES = new Set(["value", "checked", "selected", "disabled", "hidden", "data"]);

/** An element. `props`: attributes, `on…` handlers, `style` as CSS variables; null leaves one out. */
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** The same for drawings. */
export function svg(tag, props, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), props, children);
}

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element[name.toLowerCase()] = value;
    else if (name === "style") for (const [key, each] of Object.entries(value)) element.style.setProperty(key, each);
    else if (PROPERTIES.has(name)) element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...flat(children));
  return element;
}

function flat(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : String(child)));
}

/** Make the children of `target` like `nodes`, keeping every element that can stay. */
export function patch(target, ...nodes) {
  const wanted = flat(nodes).map((node) => (node instanceof Node ? node : document.createTextNode(node)));
  const keyed = new Map();
  for (const child of target.children) if (child.dataset?.key) keyed.set(child.dataset.key, child);
  let at = target.firstChild;
  for (const node of wanted) {
    const key = node.dataset?.key;
    const old = key ? keyed.get(key) : at;
    if (old && alike(old, node)) {
      if (old !== at) target.insertBefore(old, at);
      else at = at.nextSibling;
      become(old, node);
    } else {
      target.insertBefore(node, at);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

function alike(old, node) {
  return (
    old.nodeType === node.nodeType &&
    old.nodeName === node.nodeName &&
    (old.dataset?.key ?? "") === (node.dataset?.key ?? "")
  );
}

function become(old, node) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== node.nodeValue) old.nodeValue = node.nodeValue;
    return;
  }
  for (const { name } of [...old.attributes]) {
    // Whether a part is open is the person's choice.
    if (!node.hasAttribute(name) && !(name === "open" && old.localName === "details")) old.removeAttribute(name);
  }
  for (const { name, value } of node.attributes) {
    if (old.getAttribute(name) === value) continue;
    if (name === "style") old.style.cssText = node.style.cssText;  // the attribute itself is not allowed
    else old.setAttribute(name, value);
  }
  for (const handler of ["onclick", "onchange", "oninput", "ontoggle"]) old[handler] = node[handler];
  if (old.localName.includes("-")) {
    old.data = node.data;  // such an element draws itself
    return;
  }
  const value = node.value;
  patch(old, ...node.childNodes);
  if (old.localName === "select" && document.activeElement !== old) old.value = value;
}
