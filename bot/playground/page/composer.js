// The box one writes in: slash commands, @people, Enter to send. What was typed outlives channels and reloads.

import { explain } from "./api.js";
import { displayName, people } from "./directory.js";
import { h, icon } from "./dom.js";
import { avatar } from "./avatar.js";

const DRAFT = "signoff-draft ";
const drafts = {
  get: (key) => sessionStorage.getItem(DRAFT + key) ?? "",
  set: (key, text) => (text ? sessionStorage.setItem(DRAFT + key, text) : sessionStorage.removeItem(DRAFT + key)),
};

/** A composer. `send(text)` is awaited and answers `{ok, error?}`; `arrowUp()` runs when the box is empty. */
export class Composer {
  constructor({ id, testid, send, arrowUp }) {
    this.send = send;
    this.key = null;
    this.commands = [];
    this.options = [];
    this.at = 0;
    this.pending = 0;
    this.list = h("div", { class: "completion", id: `${id}-list`, role: "listbox", "aria-label": "Suggestions", hidden: true });
    this.area = h("textarea", {
      id, "data-testid": testid, rows: "1", "aria-autocomplete": "list", "aria-haspopup": "listbox",
      "aria-controls": `${id}-list`, "aria-describedby": `${id}-note`, autocomplete: "off", spellcheck: "true",
    });
    this.note = h("p", { class: "composer-note", id: `${id}-note`, "aria-live": "polite" });
    this.face = h("span", { class: "composer-face" });
    this.button = h("button", { type: "button", class: "send", "aria-label": "Send", title: "Send (Enter)", onclick: () => this.submit() }, icon("send"));
    this.node = h("div", { class: "composer" }, this.list,
      h("div", { class: "composer-box" }, this.face, this.area, this.button), this.note);
    this.area.addEventListener("input", () => this.changed());
    this.area.addEventListener("keydown", (event) => this.onKey(event, arrowUp));
    this.area.addEventListener("blur", () => this.close());
  }

  /** Point the composer at a place. Text typed for another place is put away and comes back later. */
  show({ key, label, person, commands, closed }) {
    this.commands = commands;
    this.area.setAttribute("aria-label", label);
    this.area.placeholder = closed ?? label;
    this.area.disabled = Boolean(closed);
    if (this.person !== person) this.face.replaceChildren(avatar(person, { small: true }));
    this.person = person;
    if (key === this.key) return;
    this.key = key;
    this.area.value = drafts.get(key);
    this.say("");
    this.close();
    this.size();
  }

  focus() {
    this.area.focus();
  }

  /** Put *text* in the box, ready to be sent or changed. */
  fill(text) {
    this.area.value = text;
    this.area.focus();
    this.area.setSelectionRange(text.length, text.length);
    this.changed();
    this.close();
    this.hint();
  }

  changed() {
    drafts.set(this.key, this.area.value);
    this.size();
    this.say("");
    this.complete();
    this.hint();
  }

  size() {
    this.area.style.height = "auto";
    this.area.style.height = `${Math.min(this.area.scrollHeight, 200)}px`;
    this.button.classList.toggle("ready", Boolean(this.area.value.trim()));
  }

  say(text, kind = "") {
    this.note.textContent = text;
    this.note.className = `composer-note ${kind}`;
  }

  /** While a command's words are typed, say what it wants. */
  hint() {
    const [word] = this.area.value.split(/\s/, 1);
    const found = this.list.hidden && this.commands.find(({ command }) => command === word);
    if (found) this.say([found.command, found.usage_hint && `[${found.usage_hint}]`, "–", found.description].filter(Boolean).join(" "));
  }

  complete() {
    const before = this.area.value.slice(0, this.area.selectionStart);
    const slash = /^\/[\w-]*$/.test(before) && before.length === this.area.value.length;
    const who = /(?:^|\s)@([\p{L}\p{N}. ]{0,30})$/u.exec(before);
    if (slash) this.offer(this.commands.filter(({ command }) => command.startsWith(before.toLowerCase())).map(commandOption));
    else if (who) this.offer(peopleStarting(who[1]));
    else this.close();
  }

  offer(options) {
    const same = this.options.map(({ label }) => label).join() === options.map(({ label }) => label).join();
    this.options = options;
    if (!options.length) return this.close();
    if (!same || this.list.hidden) this.at = 0;
    this.list.replaceChildren(...options.map((option, index) => this.row(option, index)));
    this.list.hidden = false;
    return this.mark();
  }

  row({ label, hint, description }, index) {
    const node = h("div", { class: "completion-row", role: "option", id: `${this.area.id}-option-${index}` },
      h("span", null, h("strong", null, label), hint && h("span", { class: "usage" }, ` [${hint}]`)),
      description && h("span", { class: "hint" }, description));
    node.addEventListener("mousedown", (event) => {
      event.preventDefault();  // the box keeps the focus
      this.at = index;
      this.take();
    });
    return node;
  }

  mark() {
    [...this.list.children].forEach((row, index) => row.setAttribute("aria-selected", String(index === this.at)));
    this.area.setAttribute("aria-activedescendant", `${this.area.id}-option-${this.at}`);
    this.list.children[this.at]?.scrollIntoView({ block: "nearest" });
  }

  close() {
    this.options = [];
    this.list.hidden = true;
    this.area.removeAttribute("aria-activedescendant");
  }

  take() {
    const { insert, replaces } = this.options[this.at];
    const caret = this.area.selectionStart;
    const from = replaces === undefined ? 0 : caret - replaces;
    this.area.setRangeText(insert, from, caret, "end");
    this.close();
    drafts.set(this.key, this.area.value);
    this.size();
    this.hint();
  }

  onKey(event, arrowUp) {
    if (event.isComposing) return;
    if (!this.list.hidden && this.onListKey(event)) {
      event.preventDefault();
      event.stopPropagation();
    } else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.submit();
    } else if (event.key === "ArrowUp" && !this.area.value) {
      event.preventDefault();
      arrowUp?.();
    }
  }

  /** True if the open list used the key. Enter on a command already written out sends it. */
  onListKey({ key, shiftKey }) {
    const { length } = this.options;
    if (key === "ArrowDown") this.at = (this.at + 1) % length;
    else if (key === "ArrowUp") this.at = (this.at + length - 1) % length;
    else if (key === "Escape") return this.close(), true;
    else if ((key === "Tab" || key === "Enter") && !shiftKey) {
      if (key === "Enter" && this.options[this.at].label === this.area.value.trim()) return this.close(), false;
      return this.take(), true;
    } else return false;
    this.mark();
    return true;
  }

  /** Several may be on their way at once: the next line can be typed and sent while the bot thinks. */
  waiting(change) {
    this.pending += change;
    if (this.pending) this.button.setAttribute("aria-busy", "true");
    else this.button.removeAttribute("aria-busy");
  }

  async submit() {
    const text = this.area.value.trim();
    if (!text || this.area.disabled) return;
    const key = this.key;
    this.close();
    this.area.value = "";
    drafts.set(key, "");
    this.size();
    this.say(text.startsWith("/") ? "Sending…" : "");
    this.waiting(1);
    const answer = await this.send(text.startsWith("/") ? text : withMentions(text));  // commands travel as they are typed
    this.waiting(-1);
    if (answer.ok) {
      if (this.note.textContent === "Sending…") this.say("");
      return;
    }
    if (this.key === key && !this.area.value) this.area.value = text;
    drafts.set(key, this.area.value || text);
    this.size();
    this.say(answer.shown ? "" : explain(answer), "bad");  // what was shown stands among the messages
  }
}

const commandOption = ({ command, description, usage_hint }) => ({
  label: command, hint: usage_hint, description, insert: usage_hint ? `${command} ` : command,
});

/** People whose name goes on from *typed*; a name written out in full needs no suggestion. */
function peopleStarting(typed) {
  const start = typed.toLowerCase();
  const goesOn = (name) => name.startsWith(start) && name !== start.trimEnd();
  return people().filter((one) => goesOn(displayName(one).toLowerCase())).map((one) => personOption(one, typed));
}

const personOption = (one, typed) => ({
  label: `@${displayName(one)}`, description: one.role, insert: `@${displayName(one)} `, replaces: typed.length + 1,
});

/** `@Ben Okoye` as Slack's client would send it: `<@U2>`. */
function withMentions(text) {
  return people().reduce((so, one) => so.replaceAll(`@${displayName(one)}`, `<@${one.id}>`), text);
}
