// Block Kit's interactive elements. In a form they only keep their value; elsewhere choosing something tells the bot.

import { channelName, channels, displayName, people } from "./directory.js";
import { busy, h, icon } from "./dom.js";
import { plainText, richText } from "./mrkdwn.js";
import { askFirst, openList } from "./popup.js";
import { complain, VALUE_FIELD } from "./surface.js";

let count = 0;
const freshId = (stem) => `${stem}-${(count += 1)}`;
const focusKey = (here, block, element, part = "") => `${here.key}|${block.block_id}|${element.action_id}${part}`;

/**
 * The control for *element*. *field* is given inside an input block: `{id, labelledby, describedby, required}`;
 * without it the control stands in an actions or section block and acts when used.
 */
export function elementNode(element, block, here, field = null) {
  const make = MAKERS[element.type];
  if (!make) return h("span", { class: "hint" }, `(${element.type} is not drawn here)`);
  return make(element, block, here, field);
}

/** Ask the confirm dialog if there is one, then POST while *node* shows that it is working. */
async function act(node, element, block, here, detail) {
  if (element.confirm && !(await askFirst(confirmTexts(element.confirm)))) return false;
  const answer = await busy(node, () => here.act(block, element, detail));
  if (answer) complain(node, answer);
  return Boolean(answer?.ok);
}

const confirmTexts = ({ title, text, confirm, deny, style }) => ({
  title: plainText(title), text: richText(text), confirm: plainText(confirm), deny: plainText(deny), style,
});

const acts = (block, field) => !field || block.dispatch_action;

function keepAndMaybeAct(node, element, block, here, field, value) {
  here.keep(block, element, value);
  if (acts(block, field)) act(node, element, block, here, value);
}

function button(element, block, here) {
  const style = ["primary", "danger"].includes(element.style) ? element.style : "";
  const node = h("button", { type: "button", class: `button ${style}`, "data-k": focusKey(here, block, element) }, plainText(element.text));
  node.addEventListener("click", () => {
    if (/^https?:/i.test(element.url ?? "")) open(element.url, "_blank", "noopener");
    act(node, element, block, here, { value: element.value });
  });
  return node;
}

function overflow(element, block, here) {
  const label = "More choices";
  const node = h("button", {
    type: "button", class: "button icon-only", "aria-label": label, "aria-haspopup": "menu", "aria-expanded": "false",
    "data-k": focusKey(here, block, element),
  }, icon("more"));
  const options = element.options.map((option, index) => ({ ...asRow(option), value: index }));
  node.addEventListener("click", () => openList(node, {
    label, options, menu: true,
    pick: ({ value }) => {
      const selected_option = element.options[value];
      if (/^https?:/i.test(selected_option.url ?? "")) open(selected_option.url, "_blank", "noopener");
      act(node, element, block, here, { selected_option });
    },
  }));
  return node;
}

const asRow = (option) => ({
  label: plainText(option.text), description: option.description && plainText(option.description), value: option.value,
});

const flatOptions = (element) => element.options ?? (element.option_groups ?? []).flatMap((group) => group.options);

/** How each kind of select lists its options and writes the chosen one: an option object, or only its id. */
function choicesOf(element) {
  const ids = (entries) => ({ rows: entries, toValue: (row) => row.value, fromValue: (id) => id });
  if (element.type.includes("users")) return ids(people().map((one) => ({ label: displayName(one), value: one.id })));
  if (/channels|conversations/.test(element.type)) {
    return ids(channels().map((one) => ({ label: one.kind === "dm" ? channelName(one.id) : `#${one.name}`, value: one.id })));
  }
  const all = flatOptions(element);
  return {
    rows: all.map(asRow),
    toValue: (row) => all.find((option) => option.value === row.value),
    fromValue: (option) => option?.value,
  };
}

function select(element, block, here, field) {
  return field && !block.dispatch_action ? nativeSelect(element, block, here, field) : picker(element, block, here, field);
}

function nativeSelect(element, block, here, field) {
  const { name } = VALUE_FIELD[element.type];
  const { rows, toValue, fromValue } = choicesOf(element);
  const now = fromValue(here.value(block, element)[name]);
  const option = (row) => h("option", { value: row.value, selected: row.value === now }, row.label);
  const groups = element.option_groups?.map((group) =>
    h("optgroup", { label: plainText(group.label) }, group.options.map((one) => option(asRow(one)))));
  const node = h("select", { ...fieldProps(field), class: "control", "data-k": focusKey(here, block, element) },
    h("option", { value: "", selected: !now }, plainText(element.placeholder) || "Choose…"), groups ?? rows.map(option));
  node.addEventListener("change", () => {
    const row = rows.find(({ value }) => value === node.value);
    here.keep(block, element, { [name]: row ? toValue(row) : null });
  });
  return h("span", { class: "select-wrap" }, node, icon("down"));
}

/** A button that opens a list: choosing with arrow keys must not act before Enter, as a native select would. */
function picker(element, block, here, field) {
  const { name, many } = VALUE_FIELD[element.type];
  const { rows, toValue, fromValue } = choicesOf(element);
  const chosen = () => [here.value(block, element)[name] ?? []].flat().map(fromValue);
  const words = h("span", { class: "picker-words" });
  const placeholder = plainText(element.placeholder) || "Choose…";
  const paint = () => {
    const labels = chosen().map((value) => rows.find((row) => row.value === value)?.label ?? value);
    words.textContent = labels.join(", ") || placeholder;
    words.classList.toggle("hint", !labels.length);
  };
  const node = h("button", {
    type: "button", class: "control picker", "aria-haspopup": "listbox", "aria-expanded": "false", "data-k": focusKey(here, block, element),
    ...(field ? { ...fieldProps(field), role: "combobox", "aria-labelledby": field.labelledby } : {}),
  }, words, icon("down"));
  node.addEventListener("click", () => {
    const before = JSON.stringify(chosen());
    openList(node, {
      label: placeholder, options: rows, chosen: chosen(), multi: Boolean(many), most: element.max_selected_items,
      pick: (picked, closed) => {
        const value = { [name]: many ? picked.map(toValue) : toValue(picked) };
        here.keep(block, element, value);
        paint();
        const decided = many ? closed && JSON.stringify(chosen()) !== before : true;
        if (decided && acts(block, field)) act(node, element, block, here, value);
      },
    });
  });
  paint();
  return node;
}

const fieldProps = (field) => field && {
  id: field.id, "aria-describedby": field.describedby, "aria-required": field.required ? "true" : null,
};

function textInput(element, block, here, field) {
  const tag = element.multiline ? "textarea" : "input";
  const type = { number_input: "text", email_text_input: "email", url_text_input: "url" }[element.type] ?? "text";
  const inputmode = element.type === "number_input" ? (element.is_decimal_allowed ? "decimal" : "numeric") : null;
  const node = h(tag, {
    ...fieldProps(field), class: "control", "data-k": focusKey(here, block, element), inputmode, autocomplete: "off",
    ...(tag === "input" ? { type } : { rows: "5" }), placeholder: plainText(element.placeholder) || null,
  });
  node.value = here.value(block, element).value ?? "";
  const left = element.max_length && h("span", { class: "hint counter", "aria-hidden": "true" });
  const measure = () => {
    if (!left) return;
    left.textContent = `${node.value.length} / ${element.max_length}`;
    left.classList.toggle("over", node.value.length > element.max_length);
  };
  node.addEventListener("input", () => {
    here.keep(block, element, { value: node.value || null });
    measure();
  });
  node.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && tag === "input" && block.dispatch_action) act(node, element, block, here, { value: node.value });
  });
  measure();
  return left ? h("div", { class: "counted" }, node, left) : node;
}

const PICKERS = { datepicker: "date", timepicker: "time", datetimepicker: "datetime-local" };

function dateInput(element, block, here, field) {
  const { name } = VALUE_FIELD[element.type];
  const node = h("input", { ...fieldProps(field), type: PICKERS[element.type], class: "control", "data-k": focusKey(here, block, element) });
  if (!field) node.setAttribute("aria-label", plainText(element.placeholder) || "Choose a date");
  const start = here.value(block, element)[name];
  node.value = start === null ? "" : element.type === "datetimepicker" ? localDateTime(start) : start;
  let typing = false;
  let told = node.value;
  const read = () => {
    const raw = node.value || null;
    return { [name]: raw && element.type === "datetimepicker" ? new Date(raw).getTime() / 1000 : raw };
  };
  const tell = () => {
    if (node.value === told || !acts(block, field)) return;
    told = node.value;
    act(node, element, block, here, read());
  };
  node.addEventListener("keydown", (event) => {
    typing = event.key !== "Enter";  // typed dates change piece by piece: wait for Enter or leaving
    if (event.key === "Enter") tell();
  });
  node.addEventListener("pointerdown", () => { typing = false; });
  node.addEventListener("blur", tell);
  node.addEventListener("change", () => {
    here.keep(block, element, read());
    if (!typing) tell();
  });
  return node;
}

const localDateTime = (seconds) => {
  const at = new Date(seconds * 1000);
  return new Date(at - at.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
};

function toggles(kind) {
  return (element, block, here, field) => {
    const { name, many } = VALUE_FIELD[element.type];
    const group = freshId("group");
    const chosen = [here.value(block, element)[name] ?? []].flat().map((option) => option.value);
    const inputs = element.options.map((option, index) => h("input", {
      type: kind, name: group, value: String(index), checked: chosen.includes(option.value),
      "data-k": focusKey(here, block, element, index), "aria-describedby": field?.describedby,
    }));
    const node = h("div", { class: "toggles", role: kind === "radio" ? "radiogroup" : "group", id: field?.id, "aria-labelledby": field?.labelledby,
      "aria-label": field ? null : "Choices" },
      element.options.map((option, index) => h("label", { class: "toggle" }, inputs[index],
        h("span", { class: "text" }, richText(option.text),
          option.description && h("span", { class: "hint" }, richText(option.description))))));
    node.addEventListener("change", () => {
      const on = element.options.filter((_, index) => inputs[index].checked);
      keepAndMaybeAct(node, element, block, here, field, { [name]: many ? on : on[0] ?? null });
    });
    return node;
  };
}

const MAKERS = {
  button,
  overflow,
  static_select: select, external_select: select, users_select: select, channels_select: select, conversations_select: select,
  multi_static_select: picker, multi_users_select: picker, multi_channels_select: picker, multi_conversations_select: picker,
  plain_text_input: textInput, number_input: textInput, email_text_input: textInput, url_text_input: textInput,
  datepicker: dateInput, timepicker: dateInput, datetimepicker: dateInput,
  radio_buttons: toggles("radio"),
  checkboxes: toggles("checkbox"),
};

/** Why *value* may not be sent, in words, or null. Slack checks these in the client too. */
export function refuse(block, element, value) {
  const { name } = VALUE_FIELD[element.type] ?? {};
  const raw = name && value?.[name];
  const empty = raw === null || raw === undefined || raw === "" || (Array.isArray(raw) && !raw.length)
    || (typeof raw === "string" && !raw.trim());
  if (empty) return block.optional ? null : "Please complete this required field.";
  if (element.max_length && raw.length > element.max_length) return `Please use at most ${element.max_length} characters (now ${raw.length}).`;
  if (element.min_length && raw.length < element.min_length) return `Please use at least ${element.min_length} characters.`;
  if (element.type === "email_text_input" && !/^\S+@\S+\.\S+$/.test(raw)) return "Please enter an email address.";
  if (element.type === "url_text_input" && !/^https?:\/\/\S+$/i.test(raw)) return "Please enter an address that starts with https://.";
  if (element.type === "number_input") return refuseNumber(element, raw);
  return null;
}

function refuseNumber({ is_decimal_allowed, min_value, max_value }, raw) {
  const pattern = is_decimal_allowed ? /^-?\d+([.,]\d+)?$/ : /^-?\d+$/;
  if (!pattern.test(raw.trim())) return is_decimal_allowed ? "Please enter a number." : "Please enter a whole number.";
  const number = Number(raw.replace(",", "."));
  if (min_value !== undefined && number < Number(min_value)) return `Please enter ${min_value} or more.`;
  if (max_value !== undefined && number > Number(max_value)) return `Please enter ${max_value} or less.`;
  return null;
}
