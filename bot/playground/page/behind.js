// Behind the scenes: each request between Slack and the bot, and a drawer of things that can go wrong.

import { explain, post, readLog } from "./api.js";
import { botName, now } from "./directory.js";
import { busy, h, icon, patch, toast } from "./dom.js";

const KEEP = 300;
const HOUR_S = 3600;
const DAY_S = 24 * HOUR_S;

const SWITCHES = [
  ["deliver_twice", "Deliver twice", "The second must not count."],
  ["slow", "Slow network", "Slack takes seconds to answer."],
  ["pace", "Slack's own pace", "One message a second per channel."],
  ["expire_triggers", "Expire triggers", "A click comes too late for a form."],
];
const COUNTS = [
  ["rate_limit", "Too many requests", "Answer 429 to so many calls."],
  ["server_error", "Server error", "Answer 500 to so many calls."],
];

export class Behind {
  constructor(node, close) {
    this.node = node;
    this.entries = [];
    this.hidden = 0;
    this.list = h("ol", { class: "log", "data-testid": "inspector", "aria-label": "Requests", tabindex: "-1", "data-focus-home": true });
    this.empty = h("p", { class: "hint log-empty" }, "Requests appear here as they happen.");
    this.scroller = h("div", { class: "log-scroll" }, this.empty, this.list);
    this.faults = h("div", { class: "faults", "data-testid": "faults", role: "group", "aria-label": "Faults" });
    node.append(
      h("div", { class: "behind-head" }, h("h2", null, "Behind the scenes"),
        h("button", { type: "button", class: "button small", onclick: () => this.clear() }, "Clear"),
        h("button", { type: "button", class: "tool", "aria-label": "Close behind the scenes", onclick: close }, icon("close"))),
      h("div", { class: "behind-body" }, this.scroller, this.faults));
    node.addEventListener("keydown", (event) => {
      if (event.key === "Escape") close();
    });
    this.buildFaults();
  }

  /** Show or hide the panel; while it is open the log is read again and again. */
  open(on) {
    if (this.node.hidden === !on) return;
    this.node.hidden = !on;
    clearInterval(this.timer);
    if (!on) return;
    this.refresh();
    this.timer = setInterval(() => this.refresh(), 1500);
    this.node.querySelector("button").focus();
  }

  async refresh() {
    if (this.node.hidden || this.reading) return;
    this.reading = true;
    try {
      const fresh = await readLog(this.entries.at(-1)?.n ?? this.hidden);
      if (fresh.length) this.draw([...this.entries, ...fresh].slice(-KEEP));
    } catch {
      // the server is away; the status says so
    } finally {
      this.reading = false;
    }
  }

  clear() {
    this.hidden = this.entries.at(-1)?.n ?? this.hidden;
    this.draw([]);
  }

  draw(entries) {
    this.entries = entries;
    const { scroller } = this;
    const atEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 40;
    patch(this.list, entries.map((entry) => ({ key: entry.n, sig: "", make: () => entryNode(entry) })));
    this.empty.hidden = entries.length > 0;
    if (atEnd) scroller.scrollTop = scroller.scrollHeight;
  }

  buildFaults() {
    this.controls = {};
    const set = (name, value) => this.run(this.controls[name], "faults", { [name]: value });
    const toggles = SWITCHES.map(([name, title, why]) => {
      const box = this.controls[name] = h("input", { type: "checkbox", role: "switch", onchange: () => set(name, box.checked) });
      return h("label", { class: "fault" }, box, h("span", null, title, h("span", { class: "hint" }, why)));
    });
    const counts = COUNTS.map(([name, title, why]) => {
      const box = this.controls[name] = h("input", { type: "number", min: "0", max: "99", class: "control", value: "0", onchange: () => set(name, Math.max(0, Math.floor(Number(box.value) || 0))) });
      return h("label", { class: "fault" }, box, h("span", null, title, h("span", { class: "hint" }, why)));
    });
    this.time = h("span", { class: "hint" });
    this.faults.append(h("h3", null, "What if…"),
      h("div", { class: "fault-buttons" },
        this.button("One hour later", "clock", { advance_s: HOUR_S }, "It is one hour later."),
        this.button("One day later", "clock", { advance_s: DAY_S }, "It is one day later."),
        this.button("Restart the bot", "restart", {}, `${botName()} is restarting. What was open stays open.`), this.time),
      ...toggles, ...counts);
  }

  button(label, path, body, done) {
    const press = (event) => this.run(event.currentTarget, path, body, done);
    return h("button", { type: "button", class: "button small", onclick: press }, label);
  }

  async run(node, path, body, done) {
    const answer = await busy(node, () => post(path, body));
    if (answer && !answer.ok) toast(explain(answer), "bad");
    else if (answer && done) toast(done);
  }

  /** Make the drawer say what is switched on, except where somebody is typing. */
  showFaults(faults) {
    for (const [name, control] of Object.entries(this.controls)) {
      if (control === document.activeElement && control.type === "number") continue;
      if (control.type === "checkbox") control.checked = Boolean(faults?.[name]);
      else control.value = String(Number(faults?.[name] ?? 0));
    }
    const date = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" }).format(now() * 1000);
    const words = `In the playground it is ${date}.`;
    if (this.time.textContent !== words) this.time.textContent = words;
  }
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });

function entryNode(entry) {
  const toBot = entry.direction.startsWith("slack");
  const failed = !(entry.status >= 200 && entry.status < 300) || entry.response?.ok === false;
  const body = h("div", { class: "entry-body" });
  const node = h("details", { class: `entry ${toBot ? "in" : "out"}` },
    h("summary", null,
      h("span", { class: "direction" }, toBot ? "Slack → bot" : "bot → Slack"),
      h("span", { class: "method" }, entry.method),
      h("span", { class: failed ? "code bad" : "code" }, entry.response?.error ? `${entry.status ?? ""} ${entry.response.error}` : String(entry.status ?? "no answer")),
      h("span", { class: "ms" }, entry.ms === null || entry.ms === undefined ? "" : `${Math.round(entry.ms)} ms`),
      h("time", null, entry.at ? CLOCK.format(Number(entry.at) * 1000) : "")),
    body);
  node.addEventListener("toggle", () => {
    if (!node.open) return;
    if (!body.firstChild) body.append(pane("Request", entry.request), pane("Response", entry.response));
    node.scrollIntoView({ block: "nearest" });
  });
  return h("li", null, node);
}

const pane = (title, value) => h("div", null, h("h3", null, title),
  h("pre", { tabindex: "0", "aria-label": title }, h("code", null, ...colored(unpacked(value)))));

/** Slack nests JSON in form fields (`payload`, `blocks`); show it as the JSON it is. */
function unpacked(value) {
  if (typeof value === "string" && /^\s*[[{]/.test(value)) {
    try {
      return unpacked(JSON.parse(value));
    } catch {
      return value;
    }
  }
  if (Array.isArray(value)) return value.map(unpacked);
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, unpacked(inner)]));
  return value;
}

const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(?:true|false|null|-?\d[\d.e+-]*)\b/g;

function colored(value) {
  const text = JSON.stringify(value, null, 2) ?? "";
  const nodes = [];
  let end = 0;
  for (const found of text.matchAll(TOKEN)) {
    const kind = found[2] ? "json-key" : found[1] ? "json-text" : "json-value";
    nodes.push(text.slice(end, found.index), h("span", { class: kind }, found[1] ?? found[0]), found[2] ?? "");
    end = found.index + found[0].length;
  }
  return [...nodes, text.slice(end)];
}
