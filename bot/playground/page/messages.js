// One message, and the list of them: days, names, cards, replies, and what can be done to a message.

import { explain, post } from "./api.js";
import { avatar } from "./avatar.js";
import { blockItems, fileLink } from "./blocks.js";
import { botName, clock, dayName, fullTime, me, nearDay, today, userName } from "./directory.js";
import { busy, h, icon, patch, toast } from "./dom.js";
import { decode, emojiNode, mrkdwn } from "./mrkdwn.js";
import { askFirst, openList } from "./popup.js";
import { surface } from "./surface.js";

const GROUP_S = 300;  // as in Slack: lines one person writes within five minutes share one name

let editing = null;

/**
 * Draw *messages* into *list*. *place* is `{channel, inThread, notes, shortcuts, openThread(ts), redraw()}`;
 * `notes` counts, by a parent's ts, the replies that only this person can see.
 */
export function drawMessages(list, messages, place) {
  const items = [];
  let before = null;
  for (const message of messages) {
    const at = Number(message.ts);
    const newDay = !before || dayName(Number(before.ts)) !== dayName(at);
    if (newDay && !place.inThread) items.push(dayItem(at));
    const grouped = Boolean(before) && !newDay && follows(before, message);
    items.push(messageItem(message, grouped, place));
    before = message;
  }
  patch(list, items);
  oneTabStop(list);
}

const follows = (before, message) => before.user === message.user && !message.is_bot && !before.ephemeral && !message.ephemeral
  && !before.reply_count && Number(message.ts) - Number(before.ts) < GROUP_S;

function dayItem(at) {
  const name = dayName(at);
  return { key: `day ${new Date(at * 1000).toDateString()}`, sig: name, make: () => h("li", { class: "day" }, h("span", null, name)) };
}

function messageItem(message, grouped, place) {
  const sig = JSON.stringify([message, grouped, place.notes?.get(message.ts), editing === message.ts, today()]);
  const update = (node) => fill(node, message, grouped, place);
  const make = () => {
    const node = h("li", { class: "message", tabindex: "-1", "data-testid": "message", "data-ts": message.ts, "data-focus-home": true },
      h("div", { class: "gutter" }), h("div", { class: "content" }), h("div", { class: "toolbar" }));
    node.addEventListener("keydown", (event) => onKey(event, node));
    update(node);
    return node;
  };
  return { key: message.ts, sig, make, update };
}

function fill(node, message, grouped, place) {
  const [gutter, content, toolbar] = node.children;
  const name = message.username || userName(message.user);
  node.place = { message, ...place };
  node.classList.toggle("grouped", grouped);
  node.classList.toggle("ephemeral", message.ephemeral);
  node.setAttribute("aria-label", `${name}, ${clock(Number(message.ts))}${message.ephemeral ? ", only visible to you" : ""}`);
  const time = h("time", { datetime: new Date(Number(message.ts) * 1000).toISOString(), title: fullTime(Number(message.ts)) }, clock(Number(message.ts)));
  gutter.replaceChildren(grouped ? time : avatar(message.user, { name }));
  patch(content, contentItems(message, grouped, place, name, time));
  patch(toolbar, toolbarItems(message, place));
}

function contentItems(message, grouped, place, name, time) {
  const items = [];
  const part = (key, sig, make, update) => items.push({ key, sig, make, update });
  if (message.ephemeral) part("only", "", () => onlyYou(message, place));
  if (message.broadcast && !place.inThread) {
    part("thread", "", () => h("p", { class: "only-you" }, icon("reply"), h("button", { type: "button", class: "link-button", onclick: () => place.openThread(message.thread_ts) }, "Replied in a thread")));
  }
  if (!grouped) {
    part("by", JSON.stringify([name, message.ts, today(), place.inThread]), () => h("div", { class: "byline" },
      h("strong", null, name), message.is_bot && h("span", { class: "badge" }, "App"),
      place.inThread && !nearDay(Number(message.ts)) ? h("time", null, dayName(Number(message.ts)), " ", time.textContent) : time));
  }
  if (editing === message.ts) part("edit", "", () => editForm(message, place));
  else bodyParts(message, place, part);
  if (message.files?.length) part("files", JSON.stringify(message.files), () => h("div", { class: "files" }, message.files.map(fileLink)));
  if (message.reactions?.length) part("reactions", JSON.stringify(message.reactions), () => reactions(message.reactions));
  if (message.warning) part("warn", message.warning, () => h("p", { class: "warning" }, icon("warn"), message.warning));
  if (!place.inThread) replyParts(message, place, part);
  return items;
}

function onlyYou(message, place) {
  const dismiss = async () => complainAloud(await post("delete", { user: me(), channel: place.channel, ts: message.ts }));
  return h("p", { class: "only-you" }, icon("eye"), "Only visible to you",
    h("button", { type: "button", class: "link-button", onclick: dismiss }, "Dismiss"));
}

function bodyParts(message, place, part) {
  if (!message.blocks?.length) {
    part("text", message.text + message.edited + today(), () => h("div", { class: "text plain" }, mrkdwn(message.text ?? ""), message.edited && edited()));
    return;
  }
  const here = surface(`${me()}/${place.channel}/${message.ts}${place.inThread ? "/thread" : ""}`, me(), { channel: place.channel, ts: message.ts });
  const update = (node) => patch(node, blockItems(message.blocks, here));
  const make = () => {
    const node = h("div", { class: message.is_bot ? "blocks card" : "blocks" });
    update(node);
    return node;
  };
  part("blocks", JSON.stringify(message.blocks) + today(), make, update);
  if (message.edited) part("edited", "", edited);
}

const reactions = (all) => h("div", { class: "reactions" }, all.map(({ name, users }) => h("span", {
  class: "reaction", title: `${users.map(userName).join(", ")} reacted with :${name}:`,
}, emojiNode(name) ?? `:${name}:`, ` ${users.length}`)));

const edited = () => h("span", { class: "edited" }, "(edited)");

function replyParts(message, place, part) {
  const note = place.notes?.get(message.ts);
  const count = message.reply_count;
  if (!count && !note) return;
  const words = [count && `${count} ${count === 1 ? "reply" : "replies"}`, note && `${note} only visible to you`].filter(Boolean).join(", ");
  part("replies", words, () => h("button", {
    type: "button", class: "replies", "data-k": `replies ${message.ts}`, onclick: () => place.openThread(message.ts),
  }, icon("reply"), h("span", null, words)));
}

function toolbarItems(message, place) {
  if (message.ephemeral) return [];
  const items = [];
  const canDoMore = message.user === me() || place.shortcuts.length;
  if (!place.inThread) {
    items.push({ key: "reply", sig: "", make: () => h("button", {
      type: "button", class: "tool", "aria-label": "Reply in thread", title: "Reply in thread",
      "data-k": `reply ${message.ts}`, onclick: () => place.openThread(message.ts),
    }, icon("reply")) });
  }
  if (canDoMore) items.push({ key: "more", sig: "", make: () => {
    const node = h("button", {
      type: "button", class: "tool", "aria-label": "More actions", title: "More actions",
      "aria-haspopup": "menu", "aria-expanded": "false", "data-k": `more ${message.ts}`,
    }, icon("more"));
    node.addEventListener("click", () => moreMenu(node));
    return node;
  } });
  return items;
}

function moreMenu(node) {
  const row = node.closest(".message");
  const { message, channel, shortcuts, redraw } = row.place;
  const options = shortcuts.map((shortcut) => ({
    label: shortcut.name, description: botName(), value: shortcut.callback_id,
    run: () => busy(node, async () => complainAloud(await post("shortcut", { user: me(), channel, ts: message.ts, callback_id: shortcut.callback_id }))),
  }));
  if (message.user === me()) {
    options.push({ label: "Edit message", value: "edit", run: () => startEditing(message, redraw) });
    options.push({ label: "Delete message", value: "delete", danger: true, run: () => remove(message, channel) });
  }
  openList(node, { label: "Message actions", options, menu: true, pick: (option) => option.run() });
}

function complainAloud(answer) {
  if (!answer.ok) toast(explain(answer), "bad");
}

async function remove(message, channel) {
  const sure = await askFirst({ title: "Delete this message?", text: "It goes away for everybody.", confirm: "Delete", deny: "Keep it", style: "danger" });
  if (sure) complainAloud(await post("delete", { user: me(), channel, ts: message.ts }));
}

function startEditing(message, redraw) {
  editing = message.ts;
  redraw();
}

function editForm(message, place) {
  const area = h("textarea", { class: "control", "aria-label": "Edit message", rows: "2", "data-k": `edit ${message.ts}` });
  area.value = decode(message.text ?? "");
  const stop = () => {
    editing = null;
    const row = area.closest(".message");
    place.redraw();
    row?.focus();
  };
  const save = async () => {
    const text = area.value;
    stop();
    complainAloud(await post("edit", { user: me(), channel: place.channel, ts: message.ts, text }));
  };
  area.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Escape") stop();
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    save();
  });
  queueMicrotask(() => area.focus());
  return h("div", { class: "edit-form" }, area, h("div", { class: "actions" },
    h("button", { type: "button", class: "button primary small", onclick: save }, "Save"),
    h("button", { type: "button", class: "button small", onclick: stop }, "Cancel")));
}

/** Arrow keys walk the list; T replies in a thread; E edits what is yours. */
function onKey(event, node) {
  if (event.target !== node || event.ctrlKey || event.metaKey || event.altKey) return;
  const rows = [...node.parentElement.querySelectorAll(":scope > .message")];
  const at = rows.indexOf(node);
  const { message, openThread, redraw, inThread } = node.place;
  if (event.key === "ArrowDown") (rows[at + 1] ?? node).focus();
  else if (event.key === "ArrowUp") (rows[at - 1] ?? node).focus();
  else if (event.key === "Home") rows[0].focus();
  else if (event.key === "End") rows.at(-1).focus();
  else if (event.key.toLowerCase() === "t" && !inThread && !message.ephemeral) openThread(message.ts);
  else if (event.key.toLowerCase() === "e" && message.user === me()) startEditing(message, redraw);
  else return;
  event.preventDefault();
}

/** The list is one stop for Tab: the newest message, or the one last visited, whose toolbar is then reachable too. */
function oneTabStop(list) {
  if (!list.dataset.roving) {
    list.dataset.roving = "yes";
    list.addEventListener("focusin", (event) => activate(list, event.target.closest(".message")));
  }
  const rows = list.querySelectorAll(":scope > .message");
  const held = list.querySelector(':scope > .message[tabindex="0"]:focus-within');
  activate(list, held ?? rows[rows.length - 1]);
}

function activate(list, row) {
  if (!row) return;
  for (const other of list.querySelectorAll(':scope > .message[tabindex="0"]')) if (other !== row) other.setAttribute("tabindex", "-1");
  row.setAttribute("tabindex", "0");
}
