// Slack's own markup (`*bold*`, `<@U1>`, `&amp;`) as nodes. What came from people only ever becomes text.

import { channelName, fillDate, fullTime, me, userName } from "./directory.js";
import { h } from "./dom.js";
import { emoji, withEmoji } from "./emoji.js";

const ENTITIES = { "&amp;": "&", "&lt;": "<", "&gt;": ">" };
export const decode = (text) => text.replace(/&(?:amp|lt|gt);/g, (entity) => ENTITIES[entity]);

/** Text of any Block Kit text object, or of a bare string taken as mrkdwn. */
export function richText(object) {
  if (object === null || object === undefined) return document.createDocumentFragment();
  if (typeof object === "string") return mrkdwn(object);
  if (object.type === "mrkdwn") return mrkdwn(object.text ?? "");
  const fragment = document.createDocumentFragment();
  fragment.append(plainText(object));
  return fragment;
}

/** A plain_text object as a string. Slack escapes `& < >` in these as well. */
export function plainText(object) {
  const text = decode(typeof object === "string" ? object : object?.text ?? "");
  return object?.emoji === false ? text : withEmoji(text);
}

/** An anchor if the address is one we follow, else its label as text. */
export function link(url, label) {
  const text = label ?? url;
  if (!/^(https?:|mailto:)/i.test(url) && !/^\/(?!\/)/.test(url)) return h("span", null, text);
  return h("a", { href: url, title: label ? url : null, target: "_blank", rel: "noopener noreferrer" }, text);
}

export function mrkdwn(text) {
  const fragment = document.createDocumentFragment();
  text.split(/```\n?([\s\S]*?)\n?```/g).forEach((piece, index) => {
    if (index % 2) fragment.append(h("pre", { tabindex: "0" }, h("code", null, decode(piece))));
    else fragment.append(...paragraphs(index ? piece.replace(/^\n/, "") : piece));
  });
  return fragment;
}

const KINDS = [
  ["quote", /^(?:>|&gt;)(?!>>|&gt;) ?/],
  ["ul", /^\s*[•◦▪*-]\s+(?=\S)/],
  ["ol", /^\s*\d+[.)]\s+(?=\S)/],
];

const kindOf = (line) => KINDS.find(([, pattern]) => pattern.test(line))?.[0] ?? (line.trim() ? "text" : "gap");

function paragraphs(text) {
  const groups = [];
  for (const line of text.split("\n")) {
    const kind = kindOf(line);
    const last = groups.at(-1);
    if (last?.kind === kind) last.lines.push(line);
    else groups.push({ kind, lines: [line] });
  }
  return groups.filter(({ kind }) => kind !== "gap").map(renderGroup);
}

function renderGroup({ kind, lines }) {
  if (kind === "text") return h("p", null, ...broken(lines));
  const pattern = KINDS.find(([name]) => name === kind)[1];
  const bare = lines.map((line) => line.replace(pattern, ""));
  if (kind === "quote") return h("blockquote", null, ...broken(bare));
  const start = kind === "ol" ? parseInt(lines[0], 10) : null;
  return h(kind, { start }, bare.map((line) => h("li", null, ...inline(line))));
}

const broken = (lines) => lines.flatMap((line, index) => [index ? h("br") : null, ...inline(line)]);

// A mark opens after something that is not a word and closes before something that is not one, as in Slack.
const mark = (sign) => `(?<![\\p{L}\\p{N}${sign}])${sign}(?=\\S)([^${sign}\\n]*?[^\\s${sign}])${sign}(?![\\p{L}\\p{N}${sign}])`;
const INLINE = new RegExp(
  ["`([^`\\n]+)`", "<([^<>\\n]+)>", ":([a-z0-9_+-]+):", mark("\\*"), mark("_"), mark("~")].join("|"), "gu");

export function inline(text) {
  const nodes = [];
  let end = 0;
  for (const found of text.matchAll(INLINE)) {
    if (found.index > end) nodes.push(decode(text.slice(end, found.index)));
    nodes.push(inlineNode(found));
    end = found.index + found[0].length;
  }
  if (end < text.length) nodes.push(decode(text.slice(end)));
  return nodes;
}

function inlineNode([whole, code, angle, name, bold, italic, strike]) {
  if (code) return h("code", null, decode(code));
  if (angle) return reference(angle);
  if (name) return emojiNode(name) ?? whole;
  if (bold) return h("strong", null, ...inline(bold));
  if (italic) return h("em", null, ...inline(italic));
  return h("s", null, ...inline(strike));
}

export function emojiNode(name) {
  const sign = emoji(name);
  return sign && h("span", { class: "emoji", title: `:${name}:` }, sign);
}

export const mention = (id) => h("span", { class: id === me() ? "mention mine" : "mention" }, `@${userName(id)}`);
export const channelLink = (id) => h("span", { class: "mention" }, `#${channelName(id)}`);

/** What stands between angle brackets: a mention, a channel, a date, or an address. */
function reference(inner) {
  const [target, label] = inner.split(/\|(.*)/s);
  if (target.startsWith("@")) return mention(target.slice(1));
  if (target.startsWith("#")) return channelLink(target.slice(1));
  if (target.startsWith("!date^")) return dateNode(target, label);
  if (target.startsWith("!")) return h("span", { class: "mention" }, label ? decode(label) : `@${target.slice(1)}`);
  if (/^(https?:|mailto:)/i.test(target)) return link(decode(target), label ? decode(label) : undefined);
  return `<${decode(inner)}>`;
}

function dateNode(target, fallback) {
  const [, seconds, template, url] = target.split("^");
  const at = Number(seconds);
  if (!Number.isFinite(at) || !template) return decode(fallback ?? "");
  const node = h("time", { datetime: new Date(at * 1000).toISOString(), title: fullTime(at) }, fillDate(at, template));
  return url ? h("a", { href: /^https?:/.test(url) ? url : null, rel: "noopener noreferrer", target: "_blank" }, node) : node;
}
