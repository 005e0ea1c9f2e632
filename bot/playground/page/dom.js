// Building elements and updating keyed lists in place. Nothing here knows about Slack.

const PROPERTIES = new Set(["value", "checked", "disabled", "selected", "hidden", "indeterminate"]);

/** Make an element. Children are nodes or strings (always text, never markup); null and false are skipped. */
export function h(tag, props, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (PROPERTIES.has(name)) node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const ICONS = {
  hash: "M6.2 2.5 4.8 13.5M11.2 2.5 9.8 13.5M2.8 5.7h11M2.2 10.3h11",
  lock: "M4 7.2h8v6.3H4zM5.6 7V5a2.4 2.4 0 0 1 4.8 0v2",
  dm: "M2.5 3h11v8H7.3L4.5 13.4V11h-2z",
  home: "M2.5 7.6 8 2.8l5.5 4.8M4 6.6v6.6h8V6.6",
  reply: "M2.5 3h11v7.6H7.6L4.8 13v-2.4H2.5zM5.3 5.8h5.4M5.3 8h3.4",
  more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
  close: "M4 4l8 8M12 4l-8 8",
  send: "M2.6 3 13.6 8 2.6 13l1.6-5zM4.2 8h4.6",
  eye: "M1.8 8C3.4 5.2 5.5 3.8 8 3.8S12.6 5.2 14.2 8c-1.6 2.8-3.7 4.2-6.2 4.2S3.4 10.8 1.8 8zM8 9.8a1.8 1.8 0 1 0 0-3.6 1.8 1.8 0 0 0 0 3.6z",
  down: "M4 6.2 8 10.2l4-4",
  check: "M3.2 8.4 6.6 11.8 12.8 4.6",
  warn: "M8 2.4 14.4 13.4H1.6zM8 6.6v3M8 11.5h.01",
  menu: "M2.5 4.5h11M2.5 8h11M2.5 11.5h11",
  scenes: "M2.5 4.2h11M2.5 8h7M2.5 11.8h9M12 7v2",
  file: "M4 2h5l3 3v9H4zM9 2v3h3",
};

/** A 16-pixel line icon, hidden from assistive technology: whatever holds it carries the name. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [key, value] of [["viewBox", "0 0 16 16"], ["class", `icon icon-${name}`], ["aria-hidden", "true"]]) {
    svg.setAttribute(key, value);
  }
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

const HELD = Symbol("held");

/**
 * Make the children of *parent* match *items*: `{key, sig, make, update?}`.
 * A child whose `sig` is unchanged is not touched, so typed text, carets and scroll positions stay.
 * A changed one goes through `update(node)`, or is made anew, with focus handed to the same `data-k`.
 */
export function patch(parent, items) {
  const before = parent[HELD] ?? new Map();
  const after = new Map();
  const focus = focusWithin(parent);
  for (const item of items) {
    const held = before.get(item.key);
    const same = held && held.sig === item.sig;
    let node = held?.node;
    if (!held || (!same && !item.update)) node = item.make();
    else if (!same) item.update(node);
    after.set(item.key, { sig: item.sig, node });
  }
  const keep = new Set([...after.values()].map((held) => held.node));
  for (const { node } of before.values()) if (!keep.has(node)) node.remove();
  let cursor = parent.firstChild;
  for (const { node } of after.values()) {
    if (node === cursor) cursor = cursor.nextSibling;
    else parent.insertBefore(node, cursor);
  }
  parent[HELD] = after;
  restore(parent, focus);
}

function focusWithin(parent) {
  const active = document.activeElement;
  if (!active || active === parent || !parent.contains(active)) return null;
  const caret = typeof active.selectionStart === "number" ? [active.selectionStart, active.selectionEnd] : null;
  return { active, key: active.dataset.k, caret };
}

function restore(parent, focus) {
  if (!focus || document.activeElement === focus.active) return;
  if (parent.contains(document.activeElement)) return;  // a list further in has seen to it
  const again = focus.active.isConnected ? focus.active : focus.key && byKey(parent, focus.key);
  const target = again || parent.closest("[data-focus-home]");
  target?.focus({ preventScroll: true });
  if (again && focus.caret && "selectionStart" in again) again.setSelectionRange(...focus.caret);
}

/** The control that carries `data-k=key` inside *root*. */
export function byKey(root, key) {
  return root.querySelector(`[data-k="${CSS.escape(key)}"]`);
}

/** Show that *node* is working until *work* settles. A second press meanwhile does nothing. */
export async function busy(node, work) {
  if (node.getAttribute("aria-busy") === "true") return undefined;
  node.setAttribute("aria-busy", "true");
  try {
    return await work();
  } finally {
    node.removeAttribute("aria-busy");
  }
}

export function toast(text, kind = "plain") {
  const note = h("p", { class: `toast ${kind}` }, text);
  document.getElementById("toasts").append(note);
  setTimeout(() => note.remove(), 4500);
}

export function announce(text) {
  const region = document.getElementById("announcer");
  const line = h("p", null, text);
  region.append(line);
  setTimeout(() => line.remove(), 4000);
}
