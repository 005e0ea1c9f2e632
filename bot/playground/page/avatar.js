// The mark that stands for a person or the bot.

import { user, userName } from "./directory.js";
import { h, icon } from "./dom.js";

/** Initials on a person's colour, or the bot's tick. The name always stands beside it, so it is hidden from readers. */
export function avatar(id, { small = false, name = userName(id) } = {}) {
  const one = user(id);
  const size = small ? " small" : "";
  if (one?.is_bot) return h("span", { class: `avatar bot${size}`, "aria-hidden": "true" }, icon("check"));
  const words = (name || "?").split(/\s+/);
  const letters = (words[0][0] + (words.length > 1 ? words.at(-1)[0] : "")).toUpperCase();
  const node = h("span", { class: `avatar${size}`, "aria-hidden": "true" }, letters);
  const color = /^#?([0-9a-f]{6})$/i.exec(one?.color ?? "")?.[1];
  if (color) {
    node.style.backgroundColor = `#${color}`;
    node.style.color = luminance(color) > 0.19 ? "#111" : "#fff";
  }
  return node;
}

/** WCAG relative luminance of six hex digits; above 0.19 black text reads better than white. */
function luminance(hex) {
  const [red, green, blue] = [0, 2, 4].map((at) => {
    const part = parseInt(hex.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
