// Block Kit's layout blocks. Controls inside them are made in elements.js.

import { today } from "./directory.js";
import { h, icon } from "./dom.js";
import { elementNode } from "./elements.js";
import { markdown } from "./markdown.js";
import { link, plainText, richText } from "./mrkdwn.js";
import { richTextBlock } from "./richtext.js";

/** Items for `patch`: a block whose JSON is the same is left alone, with whatever was typed in it. */
export function blockItems(blocks, here) {
  here.show(blocks);
  return blocks.map((block, index) => ({
    key: `${block.block_id ?? index}|${block.type}`,
    sig: JSON.stringify(block) + today(),
    make: () => blockNode(block, here),
  }));
}

export function blockNode(block, here) {
  const make = MAKERS[block.type] ?? unknown;
  return h("div", { class: `block block-${block.type}` }, make(block, here));
}

const unknown = (block) => h("p", { class: "hint" }, `(a ${block.type} block, not drawn here)`);

const FOLD_CHARS = 700;

function section(block, here) {
  return [
    h("div", { class: "section-main" },
      block.text && sectionText(block),
      block.fields && h("div", { class: "section-fields" }, block.fields.map((field) => h("div", { class: "text" }, richText(field))))),
    block.accessory && h("div", { class: "section-accessory" }, accessory(block.accessory, block, here)),
  ];
}

/** Long text, folded until somebody wants it, as Slack does unless the block says `expand`. */
function sectionText(block) {
  if (block.expand || block.text.text.length <= FOLD_CHARS) return h("div", { class: "text" }, richText(block.text));
  const text = h("div", { class: "text folded", tabindex: "-1" }, richText(block.text));
  const unfold = (event) => {
    text.classList.remove("folded");
    text.focus();
    event.target.remove();
  };
  return [text, h("button", { type: "button", class: "link-button", onclick: unfold }, "See more")];
}

const accessory = (element, block, here) =>
  (element.type === "image" ? image(element, "thumb") : elementNode(element, block, here));

function image(element, className = "") {
  const source = element.image_url ?? element.slack_file?.url ?? "";
  if (!/^(https?:\/\/|\/(?!\/))/i.test(source)) return h("span", { class: "hint" }, element.alt_text ?? "(an image)");
  return h("img", { class: className, src: source, alt: element.alt_text ?? "", loading: "lazy" });
}

const context = (block) => block.elements.map((element) =>
  (element.type === "image" ? image(element, "tiny") : h("span", { class: "text" }, richText(element))));

let count = 0;

function input(block, here) {
  const stem = `field-${(count += 1)}`;
  const element = block.element;
  const field = {
    id: stem, labelledby: `${stem}-label`, required: !block.optional,
    describedby: `${block.hint ? `${stem}-hint ` : ""}${stem}-error`,
  };
  const group = ["radio_buttons", "checkboxes"].includes(element.type);
  const label = h(group ? "span" : "label", { class: "field-label", id: field.labelledby, for: group ? null : stem },
    plainText(block.label), block.optional && h("span", { class: "hint" }, " (optional)"));
  return [
    label, elementNode(element, block, here, field),
    block.hint && h("p", { class: "hint", id: `${stem}-hint` }, plainText(block.hint)),
    h("p", { class: "field-error", id: `${stem}-error`, hidden: true }),
  ];
}

/** Show or clear the error under the input block *node*. */
export function showFieldError(node, message) {
  const error = node.querySelector(".field-error");
  if (!error || error.textContent === (message ?? "")) return;
  error.replaceChildren(...(message ? [icon("warn"), message] : []));
  error.hidden = !message;
  for (const control of node.querySelectorAll(".control, .toggles")) {
    if (message) control.setAttribute("aria-invalid", "true");
    else control.removeAttribute("aria-invalid");
  }
}

const MAKERS = {
  header: (block) => h("h2", null, plainText(block.text)),
  section,
  divider: () => h("hr"),
  context,
  actions: (block, here) => h("div", { class: "actions" }, block.elements.map((element) => elementNode(element, block, here))),
  input,
  markdown: (block) => h("div", { class: "text markdown" }, markdown(block.text ?? "")),
  rich_text: (block) => h("div", { class: "text" }, richTextBlock(block)),
  image: (block) => [block.title && h("p", { class: "hint" }, plainText(block.title)), image(block, "wide")],
  file: (block) => fileLink({ name: block.file?.name ?? block.external_id ?? "file", url: block.file?.url }),
};

export function fileLink({ name, url }) {
  return h("span", { class: "file" }, icon("file"), url ? link(url, name) : name);
}
