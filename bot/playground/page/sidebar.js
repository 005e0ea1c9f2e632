// The left side: the workspace, channels, the app, and who you are at the moment.

import { botName, channelName, displayName, userName } from "./directory.js";
import { h, icon, patch } from "./dom.js";
import { avatar } from "./avatar.js";

const SIGNS = { public: "hash", private: "lock", dm: "dm" };

/**
 * Draw the sidebar. *go* is `{channel(id), home(), person(id), scenes()}`; *unread* maps ids of channels to how many
 * messages there are for this person alone; *told* are the people who have something new from the bot.
 */
export function drawSidebar(node, { state, route, unread, told, online, scenesOpen }, go) {
  const rooms = state.channels.filter(({ kind }) => kind !== "dm");
  const dms = state.channels.filter(({ kind, members }) => kind === "dm" && members.includes(state.me));
  const bot = { ...state.bot, online };
  patch(node, [
    { key: "team", sig: state.team.name, make: () => h("div", { class: "team" }, state.team.name) },
    { key: "status", sig: JSON.stringify(bot), make: () => h("div", { class: "status", "data-testid": "status", role: "status" }), update: (one) => paintStatus(one, bot) },
    group("channels", "Channels", rooms.map((one) => channelItem(one, route, unread, go))),
    group("dms", "Direct messages", dms.map((one) => channelItem(one, route, unread, go))),
    group("apps", "Apps", [homeItem(route, go)]),
    { key: "people", sig: "", make: () => peopleNode() },
    { key: "scenes", sig: String(scenesOpen) + JSON.stringify(state.faults), make: () => scenesButton(go), update: (one) => paintScenes(one, scenesOpen, state.faults) },
  ]);
  paintStatus(node.querySelector(".status"), bot);
  paintScenes(node.querySelector(".scenes"), scenesOpen, state.faults);
  drawPeople(node.querySelector(".people"), state, told, go);
}

function paintStatus(node, { connected, mode, online }) {
  const [kind, words] = online === false ? ["away", "Reconnecting…"]
    : connected ? ["on", `${botName()} is connected`] : ["away", `${botName()} is restarting…`];
  if (node.dataset.words === words + mode) return;
  node.dataset.words = words + mode;
  node.className = `status ${kind}`;
  const how = mode === "socket" ? "Socket Mode" : "HTTP";
  node.replaceChildren(h("span", { class: "dot", "aria-hidden": "true" }), words, mode ? h("span", { class: "mode" }, how) : "");
}

function group(key, title, items) {
  const sig = JSON.stringify(items.map((item) => [item.key, item.sig]));
  const update = (node) => patch(node.lastElementChild, items);
  const make = () => {
    const node = h("div", { class: "nav-group" }, h("h2", { id: `nav-${key}` }, title), h("ul", { "aria-labelledby": `nav-${key}` }));
    update(node);
    return node;
  };
  return { key, sig, make, update };
}

function channelItem(channel, route, unread, go) {
  const here = route.place === channel.id;
  const fresh = unread.has(channel.id) && !here;
  const name = channelName(channel.id);
  const count = fresh ? unread.get(channel.id) : 0;
  return navItem(channel.id, SIGNS[channel.kind], name, { here, fresh, count, testid: `channel-${channel.id}`, archived: channel.archived }, () => go.channel(channel.id));
}

const homeItem = (route, go) => navItem("home", "home", `${botName()} Home`, { here: route.place === "home", testid: "home-link" }, () => go.home());

function navItem(key, sign, name, { here, fresh, count, testid, archived }, press) {
  return { key, sig: JSON.stringify([name, here, fresh, count, archived]), make: () => h("li", null, h("button", {
    type: "button", class: `nav-item${fresh ? " fresh" : ""}`, "aria-current": here ? "page" : null, "data-testid": testid, "data-k": `nav ${key}`, onclick: press,
  }, icon(sign), h("span", { class: "nav-name" }, name), archived && h("span", { class: "tag" }, "archived"),
  fresh && newsMark(count, count === 1 ? "new message" : "new messages"))) };
}

const newsMark = (count, words) => h("span", { class: count ? "count" : "pip" }, count ? `${count} ` : "", h("span", { class: "visually-hidden" }, words));

function peopleNode() {
  return h("div", { class: "people" },
    h("p", { class: "you-are", id: "you-are" }), h("div", { class: "faces", role: "radiogroup", "aria-labelledby": "you-are" }));
}

function drawPeople(node, state, told, go) {
  const [words, faces] = node.children;
  const say = `You are ${userName(state.me)} – switch:`;
  if (words.textContent !== say) words.replaceChildren("You are ", h("strong", null, userName(state.me)), " – switch:");
  const everybody = state.users.filter((one) => !one.is_bot);
  patch(faces, everybody.map((one) => {
    const on = state.me === one.id;
    const fresh = told.has(one.id) && !on;
    return { key: one.id, sig: JSON.stringify([one, on, fresh]), make: () => face(one, { on, fresh }, everybody, go) };
  }));
}

function face(one, { on, fresh }, everybody, go) {
  const node = h("button", {
    type: "button", class: "person", role: "radio", "aria-checked": String(on), tabindex: on ? "0" : "-1",
    "data-testid": `person-${one.id}`, "data-k": `person ${one.id}`, onclick: () => go.person(one.id),
  }, avatar(one.id, { small: true }), h("span", { class: "person-name" }, displayName(one)), h("span", { class: "role" }, one.role),
  fresh && newsMark(0, "has new messages"));
  node.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const at = everybody.indexOf(one);
    const next = everybody[(at + step + everybody.length) % everybody.length];
    node.parentElement.querySelector(`[data-testid="person-${CSS.escape(next.id)}"]`).focus();
    go.person(next.id);
  });
  return node;
}

function scenesButton(go) {
  return h("button", { type: "button", class: "scenes", "aria-controls": "behind", "data-testid": "behind-toggle", onclick: go.scenes }, icon("scenes"), h("span", null, "Behind the scenes"), h("span", { class: "fault-mark" }));
}

function paintScenes(node, open, faults) {
  node.setAttribute("aria-expanded", String(open));
  const active = Object.values(faults ?? {}).filter(Boolean).length;
  const words = active ? `${active} on` : "";
  if (node.lastElementChild.textContent !== words) node.lastElementChild.textContent = words;
}
