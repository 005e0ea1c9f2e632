// The page: fetch the state, draw it, and send what people do. Parts live in their own modules.

import { listen, post, readState } from "./api.js";
import { Behind } from "./behind.js";
import { blockItems } from "./blocks.js";
import { botName, channelName, learn, userName } from "./directory.js";
import { announce, byKey, h, icon, patch, toast } from "./dom.js";
import { Composer } from "./composer.js";
import { avatar } from "./avatar.js";
import { drawMessages } from "./messages.js";
import { Modal } from "./modal.js";
import { readRoute, START, writeRoute } from "./route.js";
import { drawSidebar } from "./sidebar.js";
import { atEnd, stickToEnd } from "./stick.js";
import { surface } from "./surface.js";
import { Unread } from "./unread.js";

const SUGGESTION = "/approve-draft AI safety";
const PERMALINK = /^\/archives\/([^/]+)\/p(\d+)(\d{6})$/;
const $ = (id) => document.getElementById(id);

let state = null;
let route = readRoute();
let online = true;
let scenesOpen = sessionStorage.getItem("signoff-scenes") === "yes";
const homeAsked = new Set();
const unread = new Unread();
const modal = new Modal();
const stick = stickToEnd($("scroller"));
const behind = new Behind($("behind"), toggleScenes);
const composer = new Composer({ id: "composer", testid: "composer", send: sendMain, arrowUp: () => lastMessage($("scroller")) });
const threadComposer = new Composer({ id: "thread-composer", testid: "thread-composer", send: sendReply, arrowUp: () => lastMessage($("thread")) });

// ---- fetching ---------------------------------------------------------------------------------------------------

let fetching = false;
let again = false;

async function refresh() {
  if (fetching) {
    again = true;
    return;
  }
  fetching = true;
  try {
    do {
      again = false;
      const asked = route.user;
      const found = await readState(asked);
      if (!found && asked === route.user) route = { ...START };
      if (asked === route.user) accept(found);
      else again = true;
    } while (again);
  } catch {
    setOnline(false);
    setTimeout(refresh, 1500);
  } finally {
    fetching = false;
  }
  behind.refresh();
}

function accept(found) {
  const first = !state;
  const moved = state && state.me !== found.me;
  state = found;
  online = true;
  learn(state);
  settleRoute();
  draw();
  if (moved) announce(`You are now ${userName(state.me)}`);
  if (first) startTyping();
}

/** As in Slack, one can type at once; on a phone that would raise the keyboard. */
function startTyping() {
  if (!composer.node.isConnected || modal.box || document.activeElement !== document.body) return;
  if (matchMedia("(pointer: fine)").matches) composer.focus();
}

function setOnline(on) {
  online = on;
  if (state) draw();
}

/** Stay where we are if this person may see it; a direct message becomes their own one. */
function settleRoute() {
  const mine = state.channels.filter((one) => one.kind !== "dm" || one.members.includes(state.me));
  if (route.place === "home" || mine.some((one) => one.id === route.place)) return;
  const dm = /^D/.test(route.place) && mine.find((one) => one.kind === "dm");
  const next = dm || mine.find((one) => one.id === START.place) || mine[0];
  route = { ...route, place: next?.id ?? "home", thread: null };
}

// ---- going places -----------------------------------------------------------------------------------------------

const go = {
  channel(id) {
    move({ place: id, thread: null });
    if (matchMedia("(pointer: fine)").matches) composer.focus();
  },
  home() {
    move({ place: "home", thread: null });
    openHome();
  },
  person(id) {
    if (id === route.user) return;
    route = { ...route, user: id };
    if (route.place === "home") openHome();
    writeRoute(route);
    refresh();
  },
  scenes: toggleScenes,
};

function move(change) {
  route = { ...route, ...change };
  showMenu(false);
  draw();
}

/** Where there is no room for the sidebar, it is a menu. */
function showMenu(open) {
  $("app").classList.toggle("menu-open", open);
  document.querySelector(".menu-button")?.setAttribute("aria-expanded", String(open));
}

/** Tell the bot that its Home was opened. When it has heard and shown nothing, it has nothing to show. */
async function openHome() {
  const { user } = route;
  await post("home", { user });
  homeAsked.add(user);
  draw();
}

function openThread(ts) {
  move({ thread: ts });
  threadComposer.focus();
}

function openMessage(channel, ts, thread) {
  if (!state.channels.some((one) => one.id === channel)) return toast("You cannot see that conversation.", "bad");
  move({ place: channel, thread });
  const row = $(thread ? "thread" : "scroller").querySelector(`.message[data-ts="${CSS.escape(ts)}"]`);
  row?.scrollIntoView({ block: "center" });
  row?.focus();
  return undefined;
}

function closeThread() {
  const ts = route.thread;
  move({ thread: null });
  const row = $("scroller").querySelector(`.message[data-ts="${CSS.escape(ts)}"]`);
  (byKey($("scroller"), `replies ${ts}`) ?? row)?.focus();
}

function toggleScenes() {
  scenesOpen = !scenesOpen;
  sessionStorage.setItem("signoff-scenes", scenesOpen ? "yes" : "no");
  draw();
  if (!scenesOpen) $("sidebar").querySelector(".scenes").focus();
}

const lastMessage = (root) => [...root.querySelectorAll(".message")].at(-1)?.focus();

// ---- sending ----------------------------------------------------------------------------------------------------

function sendMain(text) {
  const where = { user: route.user, channel: route.place, text };
  return post(text.startsWith("/") ? "command" : "message", where);
}

async function sendReply(text) {
  if (text.startsWith("/")) return { ok: false, error: "Commands do not work in threads. Write it in the channel instead." };
  return post("message", { user: route.user, channel: route.place, thread_ts: route.thread, text });
}

// ---- drawing ----------------------------------------------------------------------------------------------------

function draw() {
  if (!state) return;
  writeRoute(route);
  const channel = state.channels.find((one) => one.id === route.place);
  const fresh = unread.of(state);
  if (channel && document.visibilityState === "visible") unread.look(state, channel.id);
  document.title = `${channel ? titleOf(channel) : `${botName()} Home`} – ${state.team.name}`;
  drawSidebar($("sidebar"), { state, route, unread: fresh, told: unread.people(state), online, scenesOpen }, go);
  drawHeader(channel);
  if (channel) drawChannel(channel);
  else drawHome();
  drawThread(channel);
  modal.botId = state.users.find((one) => one.is_bot)?.id;
  modal.show(state.view, state.me);
  behind.open(scenesOpen);
  behind.showFaults(state.faults);
  $("app").classList.toggle("with-thread", !$("thread").hidden);
  $("app").classList.toggle("with-scenes", scenesOpen);
}

const titleOf = (channel) => (channel.kind === "dm" ? channelName(channel.id) : `#${channel.name}`);

function drawHeader(channel) {
  const note = !channel || channel.kind === "dm" ? "" : channel.bot_member
    ? `${channel.members.length} members` : `${botName()} is not in this channel. Type /invite @${botName()} to add it.`;
  const sig = JSON.stringify([route.place, note, botName(), channel?.name]);
  patch($("place-header"), [
    { key: "menu", sig: "", make: () => h("button", { type: "button", class: "tool menu-button", "aria-label": "Channels and people", "aria-expanded": "false", "aria-controls": "sidebar", onclick: () => showMenu(!$("app").matches(".menu-open")) }, icon("menu")) },
    { key: "name", sig, make: () => h("div", { class: "place" },
      h("h1", { id: "place-name" }, channel ? channel.kind !== "dm" && icon(channel.kind === "private" ? "lock" : "hash") : icon("home"),
        channel ? channelName(channel.id) : `${botName()} Home`),
      note && h("p", { class: "place-note" }, note)) },
  ]);
}

function notesByThread(messages) {
  const notes = new Map();
  for (const one of messages) if (one.ephemeral && isReply(one)) notes.set(one.thread_ts, (notes.get(one.thread_ts) ?? 0) + 1);
  return notes;
}

const isReply = (one) => Boolean(one.thread_ts) && one.thread_ts !== one.ts;

function drawChannel(channel) {
  const all = state.messages[channel.id] ?? [];
  const top = all.filter((one) => !isReply(one) || one.broadcast);
  const last = top.at(-1)?.ts ?? "";
  const key = `${state.me}/${channel.id}`;
  const scroller = $("scroller");
  const place = { channel: channel.id, inThread: false, notes: notesByThread(all), shortcuts: state.shortcuts, openThread, redraw: draw };
  const arriving = scroller.dataset.place !== key;
  scroller.dataset.place = key;
  quietly(scroller, arriving, `Messages in ${titleOf(channel)}`);
  patch(scroller, [
    { key: `start ${channel.id}`, sig: JSON.stringify([top.length > 0, channel.name, channel.bot_member]), make: () => welcome(channel, top.length > 0) },
    { key: `list ${key}`, sig: {}, make: () => messageList("Messages", (list) => drawMessages(list, top, place)), update: (list) => drawMessages(list, top, place) },
  ]);
  if (arriving) stick.go();
  else if (last > scroller.dataset.last && !stick.stuck()) showJump();
  scroller.dataset.last = last;
  showComposer(channel);
}

/** Screen readers hear what is added to a log, but not a whole channel on arriving there. */
function quietly(log, arriving, label) {
  log.setAttribute("role", "log");
  log.setAttribute("aria-label", label);
  if (!arriving) return;
  log.setAttribute("aria-live", "off");
  setTimeout(() => log.setAttribute("aria-live", "polite"), 500);
}

function messageList(label, fill) {
  const list = h("ol", { class: "messages", role: "list", "aria-label": label });
  fill(list);
  return list;
}

function showComposer(channel) {
  if (composer.node.parentElement !== $("below")) $("below").replaceChildren(composer.node);
  const label = `Message ${titleOf(channel)}`;
  composer.show({
    key: `${state.me}/${channel.id}`, label: `${label}, or type / for commands`, person: state.me, commands: state.commands,
    closed: channel.archived ? "This channel is archived." : null,
  });
}

/** The start of a channel; while it is empty, what one can do here. */
function welcome(channel, used) {
  if (used) return h("div", { class: "start small" }, `This is the start of ${titleOf(channel)}.`);
  const name = botName();
  const [title, sentence, command, hint] = channel.kind === "dm" || channel.bot_member
    ? ["A practice Slack, with a bot that waits for people", `${name} does the work, stops to ask a person, and goes on only after the answer.`,
      SUGGESTION, "Send it with Enter, answer with a button or in the thread, and switch person on the left to see what others see."]
    : [`${name} is not in ${titleOf(channel)} yet`, "A bot sees and writes only where it was invited.", `/invite @${name}`, "Send it with Enter."];
  return h("div", { class: "start" }, avatar(state.users.find((one) => one.is_bot)?.id),
    h("h2", null, title), h("p", null, sentence),
    h("button", { type: "button", class: "button primary try", onclick: () => composer.fill(command) }, "Try ", h("code", null, command)),
    h("p", { class: "hint" }, hint));
}

function showJump() {
  if ($("below").querySelector(".jump")) return;
  const scroller = $("scroller");
  const jump = h("button", { type: "button", class: "jump", onclick: stick.go }, "New messages", icon("down"));
  scroller.addEventListener("scroll", function gone() {
    if (!atEnd(scroller)) return;
    jump.remove();
    scroller.removeEventListener("scroll", gone);
  });
  $("below").append(jump);
}

function drawHome() {
  const scroller = $("scroller");
  const key = `${state.me}/home`;
  if (scroller.dataset.place !== key) stick.top();
  scroller.dataset.place = key;
  for (const name of ["role", "aria-label", "aria-live"]) scroller.removeAttribute(name);
  $("below").replaceChildren();
  const here = surface(`home ${state.me}`, state.me, { home: true });
  const blocks = state.home?.blocks;
  const update = (node) => patch(node, blockItems(blocks, here));
  const make = () => {
    const node = h("div", { class: "home", "data-testid": "home" });
    update(node);
    return node;
  };
  const warning = state.home?.warning;
  const waiting = homeAsked.has(state.me) ? `${botName()} has nothing to show here yet.` : `${botName()} is preparing this page…`;
  patch(scroller, [blocks ? { key: `home ${state.me}`, sig: {}, make, update }
    : { key: "no home", sig: waiting, make: () => h("div", { class: "home" }, h("p", { class: "hint" }, waiting)) },
  ...(warning ? [{ key: "warning", sig: warning, make: () => h("p", { class: "warning home-warning", role: "alert" }, icon("warn"), warning) }] : [])]);
}

function drawThread(channel) {
  const pane = $("thread");
  const all = channel ? state.messages[channel.id] ?? [] : [];
  const parent = route.thread && all.find((one) => one.ts === route.thread);
  pane.hidden = !parent;
  if (!parent) return void (pane.firstChild && patch(pane.querySelector(".thread-scroll"), []));
  const replies = all.filter((one) => isReply(one) && one.thread_ts === parent.ts);
  const key = `${state.me}/${channel.id}/${parent.ts}`;
  const place = { channel: channel.id, inThread: true, shortcuts: state.shortcuts, openThread, redraw: draw };
  if (!pane.firstChild) frameThread(pane);
  pane.querySelector(".thread-place").textContent = titleOf(channel);
  const scroller = pane.querySelector(".thread-scroll");
  const arriving = pane.dataset.place !== key;
  pane.dataset.place = key;
  quietly(scroller, arriving, "Messages in this thread");
  const count = replies.filter((one) => !one.ephemeral).length;
  const list = (name, messages) => ({ key: `${name} ${key}`, sig: {},
    make: () => messageList(name, (node) => drawMessages(node, messages, place)), update: (node) => drawMessages(node, messages, place) });
  patch(scroller, [
    list("Message", [parent]),
    { key: "count", sig: String(count), make: () => h("p", { class: "reply-count" }, count ? `${count} ${count === 1 ? "reply" : "replies"}` : "No replies yet") },
    list("Replies", replies),
  ]);
  if (arriving) pane.stick.go();
  threadComposer.show({ key, label: "Reply…", person: state.me, commands: [], closed: channel.archived ? "This channel is archived." : null });
}

function frameThread(pane) {
  const close = h("button", { type: "button", class: "tool", "aria-label": "Close thread", onclick: closeThread }, icon("close"));
  const head = h("header", { class: "place-header" }, h("div", { class: "place" }, h("h2", null, "Thread"), h("p", { class: "place-note thread-place" })), close);
  const scroller = h("div", { class: "thread-scroll", tabindex: "-1", "data-focus-home": true });
  pane.append(head, scroller, threadComposer.node);
  pane.stick = stickToEnd(scroller);
}

// ---- start ------------------------------------------------------------------------------------------------------

$("thread").addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.defaultPrevented) closeThread();
});
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href]");
  const found = link?.origin === location.origin && PERMALINK.exec(link.pathname);
  if (!found) return;
  event.preventDefault();  // a link to a message leads there, as whoever one is now
  openMessage(found[1], `${found[2]}.${found[3]}`, new URL(link.href).searchParams.get("thread_ts"));
});
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && draw());
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();  // the address says where one is; it must not become #main
  if (composer.node.isConnected) composer.focus();
  else $("scroller").focus();
});
window.addEventListener("hashchange", () => {
  const next = readRoute();
  const moved = next.user !== route.user;
  route = next;
  if (route.place === "home") openHome();
  if (moved) refresh();
  else draw();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.defaultPrevented || !$("app").matches(".menu-open")) return;
  showMenu(false);
  if ($("sidebar").contains(document.activeElement)) document.querySelector(".menu-button").focus();
});
document.addEventListener("pointerdown", (event) => {
  if (!event.target.closest(".sidebar, .menu-button")) showMenu(false);
});

listen(refresh, (lost) => setOnline(!lost));
refresh();
if (route.place === "home") openHome();
