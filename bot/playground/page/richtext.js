// Slack's `rich_text` block: sections, lists, quotes and preformatted text, already parsed by whoever sent it.

import { fillDate, fullTime } from "./directory.js";
import { h } from "./dom.js";
import { channelLink, emojiNode, link, mention } from "./mrkdwn.js";

export const richTextBlock = (block) => gather(block.elements ?? []);

/** Neighbouring lists of deeper indent belong inside the item before them. */
function gather(elements) {
  return elements.map((element) => {
    if (element.type === "rich_text_list") return listNode(element);
    const inner = (element.elements ?? []).map(inlineNode);
    if (element.type === "rich_text_quote") return h("blockquote", null, inner);
    if (element.type === "rich_text_preformatted") return h("pre", { tabindex: "0" }, h("code", null, inner));
    return h("p", null, inner);
  });
}

function listNode({ style, elements, indent, offset }) {
  const items = (elements ?? []).map((item) => h("li", null, (item.elements ?? []).map(inlineNode)));
  const ordered = style === "ordered";
  return h(ordered ? "ol" : "ul", { class: `indent-${Math.min(indent ?? 0, 4)}`, start: ordered && offset ? offset + 1 : null }, items);
}

const MARKS = [["code", "code"], ["bold", "strong"], ["italic", "em"], ["strike", "s"], ["underline", "u"]];

function inlineNode(element) {
  const style = element.style ?? {};
  const bare = typeof style === "object" ? content(element) : content({ ...element, style: {} });
  return MARKS.reduce((node, [name, tag]) => (style[name] ? h(tag, null, node) : node), bare);
}

function content(element) {
  switch (element.type) {
    case "text": return h("span", { class: "lines" }, element.text ?? "");
    case "link": return link(element.url ?? "", element.text);
    case "user": return mention(element.user_id);
    case "channel": return channelLink(element.channel_id);
    case "usergroup": return h("span", { class: "mention" }, `@${element.usergroup_id}`);
    case "broadcast": return h("span", { class: "mention" }, `@${element.range}`);
    case "emoji": return emojiNode(element.name) ?? `:${element.name}:`;
    case "date": return h("time", { title: fullTime(element.timestamp) }, fillDate(element.timestamp, element.format ?? "{date}"));
    default: return element.text ?? "";
  }
}
