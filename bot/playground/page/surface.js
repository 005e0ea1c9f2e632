// Where blocks are shown (a message, a modal, App Home), what has been entered there, and how to tell the bot.

import { explain, post } from "./api.js";

const entered = new Map();

/**
 * A place that holds blocks. *where* says how the server finds it: `{channel, ts}`, `{view_id}` or `{home: true}`.
 * What a person entered is kept under *key*, so a block drawn again still shows it.
 */
export function surface(key, user, where, { state, onChange } = {}) {
  if (!entered.has(key)) entered.set(key, new Map());
  const values = entered.get(key);
  let blocks = [];
  const here = {
    key,
    inForm: "view_id" in where,
    show: (list) => { blocks = list ?? []; },
    keep(block, element, value) {
      values.set(slot(block, element), { type: element.type, ...value });
      onChange?.(block);
    },
    value: (block, element) => values.get(slot(block, element))
      ?? state?.values?.[block.block_id]?.[element.action_id] ?? startValue(element),
    values() {
      const all = {};
      for (const [block, element] of fields(blocks)) {
        (all[block.block_id] ??= {})[element.action_id] = here.value(block, element);
      }
      return all;
    },
    async act(block, element, detail) {
      const { block_id } = block;
      const { action_id, type } = element;
      const seen = "ts" in where ? { seen: blocks } : {};
      return post("action", { user, ...where, block_id, action_id, type, ...detail, ...seen, values: here.values() });
    },
  };
  return here;
}

export const forget = (key) => entered.delete(key);

const slot = (block, element) => `${block.block_id}|${element.action_id}`;

const STATEFUL = /select|input|datepicker|timepicker|datetimepicker|radio_buttons|checkboxes/;

/** Every `[block, element]` whose value travels with an action or a submission. */
export function* fields(blocks) {
  for (const block of blocks) {
    for (const element of [block.element, block.accessory, ...(block.type === "actions" ? block.elements : [])]) {
      if (element && STATEFUL.test(element.type)) yield [block, element];
    }
  }
}

/** The value an element has before anybody touches it, shaped as Slack's `state.values` has it. */
export function startValue(element) {
  const { type } = element;
  const start = { type };
  const field = VALUE_FIELD[type];
  if (!field) return start;
  const initial = element[field.initial];
  start[field.name] = initial ?? (field.many ? [] : null);
  return start;
}

export const VALUE_FIELD = {
  plain_text_input: { name: "value", initial: "initial_value" },
  number_input: { name: "value", initial: "initial_value" },
  email_text_input: { name: "value", initial: "initial_value" },
  url_text_input: { name: "value", initial: "initial_value" },
  static_select: { name: "selected_option", initial: "initial_option" },
  external_select: { name: "selected_option", initial: "initial_option" },
  radio_buttons: { name: "selected_option", initial: "initial_option" },
  checkboxes: { name: "selected_options", initial: "initial_options", many: true },
  multi_static_select: { name: "selected_options", initial: "initial_options", many: true },
  users_select: { name: "selected_user", initial: "initial_user" },
  multi_users_select: { name: "selected_users", initial: "initial_users", many: true },
  channels_select: { name: "selected_channel", initial: "initial_channel" },
  conversations_select: { name: "selected_conversation", initial: "initial_conversation" },
  multi_channels_select: { name: "selected_channels", initial: "initial_channels", many: true },
  multi_conversations_select: { name: "selected_conversations", initial: "initial_conversations", many: true },
  datepicker: { name: "selected_date", initial: "initial_date" },
  timepicker: { name: "selected_time", initial: "initial_time" },
  datetimepicker: { name: "selected_date_time", initial: "initial_date_time" },
};

/** Put what went wrong under the block *node* stands in, unless the server has `shown` it; the next press clears it. */
export function complain(node, answer) {
  const block = node.closest(".block");
  if (!block) return;
  block.querySelector(":scope > .problem")?.remove();
  if (answer.ok || answer.shown) return;
  const line = document.createElement("p");
  line.className = "problem";
  line.setAttribute("role", "alert");
  line.textContent = explain(answer);
  block.append(line);
}
