// Trees of plain objects, and the changes that make a document show them. Text is text: nothing is parsed as HTML.

/**
 * A node: `attrs` are attributes, `on…` handlers, `key`, `css` (custom properties), `flash` (a shown number) and
 * `paint`: {by, data}, where by(element, data) makes the element's content whenever the data are others.
 */
export function h(tag, attrs, ...children) {
  const isShown = (one) => one !== null && one !== undefined && one !== false;
  return { tag, attrs: attrs ?? {}, children: children.flat(Infinity).filter(isShown) };
}

/** Make the children of an element these. An element stays the same one, with its focus, while its key or place does. */
export function patch(parent, nodes) {
  const keyed = new Map();
  const others = [];
  for (const child of parent.childNodes) {
    if (child.tallyKey === undefined) others.push(child);
    else keyed.set(child.tallyKey, child);
  }
  let place = parent.firstChild;
  for (const node of nodes) {
    const child = matching(node, keyed, others) ?? create(node);
    update(child, node);
    if (child === place) place = place.nextSibling;
    else parent.insertBefore(child, place);
  }
  for (const left of [...keyed.values(), ...others]) left.remove();
}

function matching(node, keyed, others) {
  if (typeof node !== "object") return others[0]?.nodeType === Node.TEXT_NODE ? others.shift() : undefined;
  const { key } = node.attrs;
  if (key !== undefined) {
    const found = keyed.get(key);
    keyed.delete(key);
    return found;
  }
  const index = others.findIndex((one) => one.localName === node.tag);
  return index < 0 ? undefined : others.splice(index, 1)[0];
}

function create(node) {
  if (typeof node !== "object") return document.createTextNode("");
  const element = document.createElement(node.tag);
  element.tallyKey = node.attrs.key;
  return element;
}

function update(child, node) {
  if (typeof node !== "object") {
    const text = String(node);
    if (child.data !== text) child.data = text;
    return;
  }
  if (child.tallyNode === node) return;
  const before = child.tallyNode?.attrs ?? {};
  for (const name of Object.keys(before)) if (!(name in node.attrs)) set(child, name, null, before[name]);
  for (const [name, value] of Object.entries(node.attrs)) {
    if (name === "css" || before[name] !== value) set(child, name, value, before[name]);
  }
  child.tallyNode = node;
  const { paint } = node.attrs;
  if (!paint) patch(child, node.children);
  else if (before.paint?.data !== paint.data) paint.by(child, paint.data);
}

function set(element, name, value, before) {
  if (name === "key" || name === "paint") return;
  if (name === "css") {
    for (const [property, one] of Object.entries(value ?? {})) {
      if (before?.[property] !== one) element.style.setProperty(property, one);
    }
  } else if (name === "flash") {
    if (before !== undefined && value !== null) flash(element);
  } else if (name.startsWith("on")) {
    element[name] = value;
  } else if (value === null || value === false || value === undefined) {
    element.removeAttribute(name);
  } else {
    element.setAttribute(name, value === true ? "" : value);
  }
}

const still = matchMedia("(prefers-reduced-motion: reduce)");

function flash(element) {
  if (still.matches || document.hidden || !element.animate) return;
  const colour = getComputedStyle(document.documentElement).getPropertyValue("--flash").trim();
  element.animate([{ color: colour }, { color: colour, offset: 0.25 }, {}], { duration: 1200, easing: "ease-out" });
}
