// The emoji names people and bots use most. An unknown name stays as it was written.

const NAMES = {
  "+1": "👍", thumbsup: "👍", "-1": "👎", thumbsdown: "👎", white_check_mark: "✅", heavy_check_mark: "✔️",
  ballot_box_with_check: "☑️", x: "❌", negative_squared_cross_mark: "❎", no_entry: "⛔", no_entry_sign: "🚫",
  warning: "⚠️", rotating_light: "🚨", bell: "🔔", no_bell: "🔕", hourglass: "⌛", hourglass_flowing_sand: "⏳",
  alarm_clock: "⏰", stopwatch: "⏱️", clock3: "🕒", calendar: "📅", date: "📅", memo: "📝", pencil: "✏️", pencil2: "✏️",
  page_facing_up: "📄", clipboard: "📋", speech_balloon: "💬", thought_balloon: "💭", mag: "🔍", eyes: "👀",
  lock: "🔒", unlock: "🔓", key: "🔑", rocket: "🚀", tada: "🎉", sparkles: "✨", star: "⭐", fire: "🔥", bulb: "💡",
  robot_face: "🤖", gear: "⚙️", wrench: "🔧", hammer: "🔨", package: "📦", link: "🔗", paperclip: "📎", inbox_tray: "📥",
  arrow_right: "➡️", arrow_left: "⬅️", repeat: "🔁", arrows_counterclockwise: "🔄", leftwards_arrow_with_hook: "↩️",
  large_green_circle: "🟢", large_yellow_circle: "🟡", large_orange_circle: "🟠", red_circle: "🔴", white_circle: "⚪",
  smile: "😄", slightly_smiling_face: "🙂", thinking_face: "🤔", wave: "👋", pray: "🙏", clap: "👏", raised_hands: "🙌",
  ok_hand: "👌", point_right: "👉", heart: "❤️", octagonal_sign: "🛑", stop_sign: "🛑", double_vertical_bar: "⏸️",
  information_source: "ℹ️", question: "❓", exclamation: "❗", zap: "⚡", house: "🏠", bust_in_silhouette: "👤",
  busts_in_silhouette: "👥", ticket: "🎫", scroll: "📜", bookmark: "🔖", zzz: "💤", crescent_moon: "🌙",
};

const hasOwn = Object.prototype.hasOwnProperty;

export const emoji = (name) => (hasOwn.call(NAMES, name) ? NAMES[name] : null);
export const withEmoji = (text) => text.replace(/:([a-z0-9_+-]+):/g, (whole, name) => emoji(name) ?? whole);
