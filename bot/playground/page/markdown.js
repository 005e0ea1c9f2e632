// Common Markdown, as in Slack's `markdown` block: headings, lists, tables, fences, quotes and inline marks.

import { h } from "./dom.js";
import { channelLink, decode, emojiNode, link, mention } from "./mrkdwn.js";

const ITEM = /^(\s*)(?:([-*+])|(\d+)[.)])\s+(.*)$/;
const RULE = /^\s*([-*_])(?:\s*\1){2,}\s*$/;
const DIVIDER = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;

export function markdown(text) {
  const fragment = document.createDocumentFragment();
  fragment.append(...blocks(text.replace(/\r\n?/g, "\n").split("\n")));
  return fragment;
}

function blocks(lines) {
  const out = [];
  let at = 0;
  while (at < lines.length) {
    const rule = RULES.find(({ starts }) => starts(lines[at], lines[at + 1]));
    const end = rule.end(lines, at);
    const node = rule.make(lines.slice(at, end), lines[at]);
    if (node) out.push(node);
    at = end;
  }
  return out;
}

function whileLines(test) {
  return (lines, at) => {
    let end = at + 1;
    while (end < lines.length && test(lines[end], lines, end)) end += 1;
    return end;
  };
}

const fenceEnd = (lines, at) => {
  const close = lines.findIndex((line, index) => index > at && /^\s*(```|~~~)\s*$/.test(line));
  return close < 0 ? lines.length : close + 1;
};

const interrupts = (line) => /^\s*(```|~~~|>)|^#{1,6}\s/.test(line) || ITEM.test(line) || RULE.test(line);

function fence(lines) {
  const closed = lines.length > 1 && /^\s*(```|~~~)\s*$/.test(lines.at(-1));
  return h("pre", { tabindex: "0" }, h("code", null, lines.slice(1, closed ? -1 : undefined).join("\n")));
}

function heading([line]) {
  const [, signs, text] = /^(#{1,6})\s+(.*?)\s*#*$/.exec(line) ?? [null, "#", line];
  return h("div", { class: `md-heading level-${signs.length}`, role: "heading", "aria-level": Math.min(signs.length + 1, 6) },
    ...inline(text));
}

const quote = (lines) => h("blockquote", null, ...blocks(lines.map((line) => line.replace(/^\s*> ?/, ""))));

const cells = (line) => line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((cell) => cell.trim());

function table([head, , ...rows]) {
  const row = (line, tag) => h("tr", null, cells(line).map((cell) => h(tag, null, ...inline(cell))));
  return h("div", { class: "table", tabindex: "0", role: "group", "aria-label": "Table" },
    h("table", null, h("thead", null, row(head, "th")), h("tbody", null, rows.map((line) => row(line, "td")))));
}

function list(lines) {
  const [, indent, , number] = ITEM.exec(lines[0]);
  const items = [];
  for (const line of lines) {
    const found = ITEM.exec(line);
    if (found && found[1].length <= indent.length + 1) items.push({ text: found[4], inner: [] });
    else items.at(-1).inner.push(line);
  }
  return h(number ? "ol" : "ul", { start: number ? Number(number) : null }, items.map(({ text, inner }) => {
    const task = /^\[([ xX])\]\s+/.exec(text);
    const body = inline(task ? text.slice(task[0].length) : text);
    return h("li", null, task && (task[1] === " " ? "☐ " : "☑ "), ...body, ...blocks(inner));
  }));
}

const paragraph = (lines) => h("p", null, ...lines.flatMap((line, index) => [index ? h("br") : null, ...inline(line.trim())]));

const RULES = [
  { starts: (line) => !line.trim(), end: (_, at) => at + 1, make: () => null },
  { starts: (line) => /^\s*(```|~~~)/.test(line), end: fenceEnd, make: fence },
  { starts: (line) => /^#{1,6}\s/.test(line), end: (_, at) => at + 1, make: heading },
  { starts: (line) => RULE.test(line), end: (_, at) => at + 1, make: () => h("hr") },
  { starts: (line) => /^\s*>/.test(line), end: whileLines((line) => /^\s*>/.test(line)), make: quote },
  { starts: (line, next) => line.includes("|") && DIVIDER.test(next ?? "") && (next ?? "").includes("-"),
    end: whileLines((line) => line.includes("|")), make: table },
  { starts: (line) => ITEM.test(line), end: whileLines((line) => ITEM.test(line) || /^\s+\S/.test(line)), make: list },
  { starts: () => true, end: whileLines((line, lines, at) => line.trim() && !interrupts(line, lines[at + 1])), make: paragraph },
];

const INLINE = new RegExp([
  "\\\\([\\\\`*_{}\\[\\]()#+.!|~<>-])", "`([^`\\n]+)`", "\\*\\*(?=\\S)(.+?)(?<=\\S)\\*\\*", "__(?=\\S)(.+?)(?<=\\S)__",
  "~~(?=\\S)(.+?)(?<=\\S)~~", "\\*(?=[^\\s*])([^*\\n]+?)(?<=[^\\s*])\\*", "(?<![\\p{L}\\p{N}])_(?=\\S)([^_\\n]+?)(?<=\\S)_(?![\\p{L}\\p{N}])",
  "\\[([^\\]\\n]+)\\]\\(([^)\\s]+)\\)", "<(https?:[^>\\s]+)>", "<@(\\w+)>", "<#(\\w+)>", ":([a-z0-9_+-]+):", "(https?:\\/\\/[^\\s<>)]+)",
].join("|"), "gu");

function inline(text) {
  const nodes = [];
  let end = 0;
  for (const found of text.matchAll(INLINE)) {
    nodes.push(decode(text.slice(end, found.index)), inlineNode(found));
    end = found.index + found[0].length;
  }
  return [...nodes, decode(text.slice(end))].filter(Boolean);
}

function inlineNode([whole, escaped, code, bold, bold2, strike, italic, italic2, label, url, auto, person, channel, name, bare]) {
  if (escaped) return escaped;
  if (code) return h("code", null, code);
  if (bold ?? bold2) return h("strong", null, ...inline(bold ?? bold2));
  if (strike) return h("s", null, ...inline(strike));
  if (italic ?? italic2) return h("em", null, ...inline(italic ?? italic2));
  if (label) return link(url, label);
  if (person) return mention(person);
  if (channel) return channelLink(channel);
  if (name) return emojiNode(name) ?? whole;
  return link(auto ?? bare);
}
