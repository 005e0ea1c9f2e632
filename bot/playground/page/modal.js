// A modal view: a dialog that keeps focus, shows errors under their fields, and forgets nothing while it is updated.

import { explain, post } from "./api.js";
import { avatar } from "./avatar.js";
import { blockItems, showFieldError } from "./blocks.js";
import { botName } from "./directory.js";
import { busy, byKey, h, icon, patch } from "./dom.js";
import { refuse } from "./elements.js";
import { plainText } from "./mrkdwn.js";
import { trapFocus } from "./popup.js";
import { forget, surface } from "./surface.js";

export class Modal {
  constructor(botId) {
    this.botId = botId;
    this.gone = new Set();  // closed here, though a state fetched earlier may still show it
    this.errors = {};
    this.serverErrors = "";
  }

  /** Open, update or close the dialog so that it shows *view* (or nothing) to *user*. */
  show(view, user) {
    if (view && this.gone.has(view.id)) view = null;
    if (!view) return this.drop();
    if (!this.box) this.open();
    if (this.view?.id !== view.id) this.enter(view, user);
    this.view = view;
    this.draw();
    return undefined;
  }

  open() {
    this.before = document.activeElement;
    this.title = h("h2", { id: "modal-title", tabindex: "-1" });
    this.body = h("div", { class: "modal-body", "data-focus-home": true, tabindex: "-1" });
    this.foot = h("div", { class: "dialog-buttons" });
    this.general = h("p", { class: "problem", role: "alert" });
    this.box = h("dialog", { class: "modal", "aria-labelledby": "modal-title", "data-testid": "modal" },
      h("form", { method: "dialog", novalidate: true },
        h("div", { class: "modal-head" }, avatar(this.botId, { small: true }), this.title,
          h("button", { type: "button", class: "tool", "aria-label": "Close", onclick: () => this.cancel() }, icon("close"))),
        this.body, this.general, this.foot));
    this.box.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.cancel();
    });
    this.box.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    this.box.addEventListener("keydown", (event) => this.onKey(event));
    trapFocus(this.box);
    document.body.append(this.box);
    this.box.showModal();
  }

  onKey(event) {
    if (event.key !== "Enter" || event.isComposing) return;
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      this.submit();
    }
  }

  enter(view, user) {
    this.user = user;
    this.errors = {};
    this.serverErrors = "";
    this.here = surface(`view ${view.id}`, user, { view_id: view.id }, {
      state: view.state,
      onChange: (block) => this.clearError(block.block_id),
    });
    patch(this.body, []);
    this.fresh = true;
  }

  draw() {
    const { view } = this;
    const said = JSON.stringify(view.errors ?? {});
    if (said !== this.serverErrors) {
      this.serverErrors = said;
      this.errors = { ...view.errors };
    }
    this.title.textContent = plainText(view.title) || botName();
    patch(this.body, blockItems(view.blocks ?? [], this.here));
    patch(this.foot, this.buttons());
    this.general.textContent = view.warning ?? "";
    this.paintErrors();
    this.settleFocus();
  }

  buttons() {
    const { submit, close } = this.view;
    const items = [{ key: "close", sig: plainText(close), make: () => h("button", {
      type: "button", class: "button", "data-k": "modal close", onclick: () => this.cancel(),
    }, plainText(close) || (submit ? "Cancel" : "Close")) }];
    if (!submit) return items;
    return [...items, { key: "submit", sig: plainText(submit), make: () => h("button", {
      type: "submit", class: "button primary", "data-k": "modal submit", title: "Ctrl or ⌘ and Enter",
    }, plainText(submit)) }];
  }

  /** Start in the first field; when a loading view is filled in later, go there then, unless the person has moved. */
  settleFocus() {
    const active = document.activeElement;
    const idle = !this.box.contains(active) || active === this.box || active === this.title || active === this.body;
    if (!this.fresh && !idle) return;
    const first = this.body.querySelector(".control, .toggles input, button, a[href]");
    (first ?? this.title).focus();
    this.fresh = false;
  }

  inputs() {
    return (this.view.blocks ?? []).filter((block) => block.type === "input");
  }

  async submit() {
    if (!this.view.submit) return;
    const values = this.here.values();
    const problems = this.inputs().map((block) => [block.block_id, refuse(block, block.element, values[block.block_id]?.[block.element.action_id])]);
    this.setErrors(Object.fromEntries(problems.filter(([, problem]) => problem)));
    if (Object.keys(this.errors).length) return;
    const view = this.view;
    const button = byKey(this.foot, "modal submit");
    const answer = await busy(button, () => post("submit", { user: this.user, view_id: view.id, values }));
    if (!answer || this.view?.id !== view.id) return;
    if (answer.errors && Object.keys(answer.errors).length) return this.setErrors(answer.errors);
    if (!answer.ok && !answer.shown) this.general.textContent = explain(answer);
  }

  setErrors(errors) {
    this.errors = { ...errors };
    this.paintErrors();
    const first = this.blockNodes().find(([block]) => this.errors[block.block_id]);
    first?.[1].querySelector(".control, input")?.focus();
  }

  clearError(blockId) {
    if (!this.errors[blockId]) return;
    delete this.errors[blockId];
    this.paintErrors();
  }

  blockNodes() {
    const nodes = [...this.body.children];
    return (this.view.blocks ?? []).map((block, index) => [block, nodes[index]]);
  }

  paintErrors() {
    for (const [block, node] of this.blockNodes()) if (block.type === "input") showFieldError(node, this.errors[block.block_id]);
  }

  cancel() {
    const { view, user } = this;
    this.gone.add(view.id);
    if (!view.previous_view_id) this.drop();
    post("close", { user, view_id: view.id });
  }

  drop() {
    if (!this.box) return;
    forget(`view ${this.view?.id}`);
    this.box.remove();  // without close(), which focuses what was focused before while the caret is still in here
    this.box = this.view = null;
    const back = this.before?.isConnected ? this.before : this.before?.dataset?.k && byKey(document, this.before.dataset.k);
    (back && back !== document.body ? back : document.getElementById("composer"))?.focus();
  }
}
