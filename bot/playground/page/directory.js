// Who is who, and what time it is, in the state last fetched. Text rendering asks here for names.

const known = { users: new Map(), channels: new Map(), me: "", offset: 0, botName: "Signoff" };

export function learn(state) {
  known.users = new Map(state.users.map((user) => [user.id, user]));
  known.channels = new Map(state.channels.map((channel) => [channel.id, channel]));
  known.me = state.me;
  known.offset = state.clock_offset_s ?? 0;
  known.botName = displayName(state.users.find((user) => user.is_bot)) || "Signoff";
}

export const me = () => known.me;
export const botName = () => known.botName;
export const user = (id) => known.users.get(id);
export const people = () => [...known.users.values()].filter((one) => !one.is_bot);
export const channels = () => [...known.channels.values()];

export const displayName = (one) => one?.real_name || one?.name || "";
export const userName = (id) => displayName(known.users.get(id)) || id;

/** `#drafts`, or the other person's name in a direct message. */
export function channelName(id) {
  const channel = known.channels.get(id);
  if (!channel) return id;
  if (channel.kind !== "dm") return channel.name;
  const other = channel.members.find((member) => member !== known.me);
  return (other && known.users.has(other)) ? userName(other) : known.botName;
}

/** Seconds since 1970 on the playground's clock, which the drawer of faults can move. */
export const now = () => Date.now() / 1000 + known.offset;

const dayOf = (seconds) => new Date(seconds * 1000).toDateString();
export const today = () => dayOf(now());

const format = (options) => new Intl.DateTimeFormat(undefined, options);
const CLOCK = format({ hour: "numeric", minute: "2-digit" });
const DAY = format({ weekday: "long", day: "numeric", month: "long" });
const FULL = format({ dateStyle: "full", timeStyle: "short" });

export const clock = (seconds) => CLOCK.format(seconds * 1000);
export const fullTime = (seconds) => FULL.format(seconds * 1000);

/** Today, Yesterday, Tomorrow, or null for any other day. */
export function nearDay(seconds) {
  const names = [[0, "Today"], [-1, "Yesterday"], [1, "Tomorrow"]];
  for (const [days, name] of names) if (dayOf(seconds) === dayOf(now() + days * 86400)) return name;
  return null;
}

export const dayName = (seconds) => nearDay(seconds) ?? DAY.format(seconds * 1000);

const PARTS = {
  date_num: (at) => new Date(at * 1000).toLocaleDateString("sv"),
  date: (at) => format({ dateStyle: "long" }).format(at * 1000),
  date_short: (at) => format({ dateStyle: "medium" }).format(at * 1000),
  date_long: (at) => format({ dateStyle: "full" }).format(at * 1000),
  time: clock,
  time_secs: (at) => format({ timeStyle: "medium" }).format(at * 1000),
  ago: (at) => ago(at - now()),
};

function ago(seconds) {
  const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
  for (const [unit, size] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
    if (Math.abs(seconds) >= size) return relative.format(Math.round(seconds / size), unit);
  }
  return relative.format(Math.round(seconds), "second");
}

/** Fill Slack's date template (`{date_short_pretty} at {time}`) in the zone of whoever is reading. */
export function fillDate(at, template) {
  return template.replace(/\{(\w+?)(_pretty)?\}/g, (whole, part, pretty) => {
    const near = pretty && nearDay(at);
    return near ? near.toLowerCase() : PARTS[part]?.(at) ?? whole;
  });
}
