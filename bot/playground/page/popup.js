// Small things that open above the page: a menu or list of options, and the question "are you sure?".

import { byKey, h, icon } from "./dom.js";

let count = 0;

/**
 * Open a list under *anchor*. Options are `{label, description?, value, url?, danger?}`.
 * `pick(option)` closes it; with `multi`, options toggle: `pick(chosen, false)` each time, `pick(chosen, true)` at the close.
 * No more than *most* can be chosen.
 */
export function openList(anchor, { label, options, chosen = [], multi = false, most = Infinity, menu = false, pick }) {
  const picked = new Set(chosen);
  const rows = options.map((option) => row(option, { menu, multi, on: picked.has(option.value) }));
  const list = h("div", {
    id: `popup-${(count += 1)}`, class: "popup", popover: "auto", role: menu ? "menu" : "listbox", "aria-label": label,
    "aria-multiselectable": multi ? "true" : null,
  }, rows);
  const home = anchor.closest("dialog, main, aside") ?? document.body;
  home.append(list);

  const tell = (closed) => pick(options.filter((option) => picked.has(option.value)), closed);
  const choose = (index) => {
    const option = options[index];
    if (!multi) return list.hidePopover(), pick(option);
    if (!picked.delete(option.value) && picked.size < most) picked.add(option.value);
    options.forEach(({ value }, at) => {
      rows[at].setAttribute("aria-selected", String(picked.has(value)));
      rows[at].setAttribute("aria-disabled", String(!picked.has(value) && picked.size >= most));
    });
    return tell(false);
  };
  rows.forEach((node, index) => node.addEventListener("click", () => choose(index)));
  list.addEventListener("keydown", (event) => onKey(event, rows, choose, list));
  list.addEventListener("toggle", (event) => {
    if (event.newState !== "closed") return;
    anchor.setAttribute("aria-expanded", "false");
    anchor.removeAttribute("aria-controls");
    const inside = list.contains(document.activeElement) || document.activeElement === document.body;
    list.remove();
    if (inside) (anchor.isConnected ? anchor : anchor.dataset.k && byKey(document, anchor.dataset.k))?.focus();
    if (multi) tell(true);
  });

  list.showPopover();
  anchor.setAttribute("aria-expanded", "true");
  anchor.setAttribute("aria-controls", list.id);
  place(list, anchor);
  (rows[options.findIndex((option) => picked.has(option.value))] ?? rows[0])?.focus();
}

function row(option, { menu, multi, on }) {
  const role = menu ? "menuitem" : "option";
  return h("div", { class: `popup-row${option.danger ? " danger" : ""}`, role, tabindex: "-1", "aria-selected": menu ? null : String(on) },
    menu ? null : h("span", { class: multi ? "tick box" : "tick" }, icon("check")),
    h("span", { class: "popup-text" }, h("span", null, option.label),
      option.description && h("span", { class: "hint" }, option.description)));
}

function onKey(event, rows, choose, list) {
  const at = rows.indexOf(document.activeElement);
  const go = (index) => rows[(index + rows.length) % rows.length].focus();
  const { key } = event;
  if (key === "ArrowDown") go(at + 1);
  else if (key === "ArrowUp") go(at - 1);
  else if (key === "Home") go(0);
  else if (key === "End") go(-1);
  else if (key === "Enter" || key === " ") choose(at);
  else if (key === "Tab") list.hidePopover();
  else if (key.length === 1 && !event.ctrlKey && !event.metaKey) {
    const starts = (node) => node.textContent.trim().toLowerCase().startsWith(key.toLowerCase());
    [...rows.slice(at + 1), ...rows.slice(0, at + 1)].find(starts)?.focus();
    return;
  } else return;
  event.preventDefault();
  event.stopPropagation();
}

function place(list, anchor) {
  const box = anchor.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = list;
  const below = box.bottom + 4;
  const top = below + height > innerHeight - 8 ? Math.max(8, box.top - height - 4) : below;
  const left = Math.max(8, Math.min(box.left, innerWidth - width - 8));
  Object.assign(list.style, { top: `${top}px`, left: `${left}px`, minWidth: `${Math.min(box.width, 320)}px` });
}

/** Ask before going on. *texts* are strings or nodes: title, text, confirm, deny; style may be `danger`. */
export function askFirst({ title, text, confirm, deny, style }) {
  return new Promise((settle) => {
    const before = document.activeElement;
    const yes = h("button", { type: "button", class: `button ${style === "danger" ? "danger" : "primary"}` }, confirm || "Yes");
    const no = h("button", { type: "button", class: "button" }, deny || "Cancel");
    const box = h("dialog", { class: "confirm", role: "alertdialog", "aria-labelledby": "confirm-title", "aria-describedby": "confirm-text", "data-testid": "confirm" },
      h("h2", { id: "confirm-title" }, title), h("div", { id: "confirm-text", class: "text" }, text),
      h("div", { class: "dialog-buttons" }, no, yes));
    const close = (answer) => {
      box.close();
      box.remove();
      before?.focus();
      settle(answer);
    };
    yes.addEventListener("click", () => close(true));
    no.addEventListener("click", () => close(false));
    box.addEventListener("cancel", (event) => {
      event.preventDefault();
      close(false);
    });
    trapFocus(box);
    document.body.append(box);
    box.showModal();
    no.focus();
  });
}

const FOCUSABLE = 'button:not([disabled]), [href], input:not([disabled]), select:not([disabled]), textarea:not([disabled]), [tabindex="0"]';

/** Keep Tab inside *box*; the browser alone would let it wander into its own toolbar. */
export function trapFocus(box) {
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Tab") return;
    const stops = [...box.querySelectorAll(FOCUSABLE)].filter((node) => node.offsetParent !== null && node.tabIndex >= 0);
    const edge = event.shiftKey ? stops[0] : stops.at(-1);
    const atEdge = document.activeElement === edge || sameRadios(document.activeElement, edge)
      || (event.shiftKey && document.activeElement === box);
    if (!atEdge && box.contains(document.activeElement)) return;
    event.preventDefault();
    (event.shiftKey ? stops.at(-1) : stops[0])?.focus();
  });
}

const sameRadios = (one, other) => one?.type === "radio" && other?.type === "radio" && one.name === other.name;
