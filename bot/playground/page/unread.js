// Which channels hold something new for a person. Kept for as long as the browser tab is.

const KEY = "signoff-seen";

export class Unread {
  constructor() {
    this.seen = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
  }

  /** The channels with messages from others that *state.me* has not had in view. The first look sets the start. */
  of(state) {
    this.seen ??= { start: newest(Object.values(state.messages).flat()) };
    const fresh = new Set();
    for (const [channel, messages] of Object.entries(state.messages)) {
      const since = Math.max(this.seen[`${state.me}/${channel}`] ?? 0, this.seen.start);
      if (messages.some((one) => one.user !== state.me && Number(one.ts) > since)) fresh.add(channel);
    }
    return fresh;
  }

  look(state, channel) {
    const last = newest(state.messages[channel] ?? []);
    const slot = `${state.me}/${channel}`;
    if ((this.seen?.[slot] ?? 0) >= last) return;
    this.seen ??= { start: 0 };
    this.seen[slot] = last;
    sessionStorage.setItem(KEY, JSON.stringify(this.seen));
  }
}

const newest = (messages) => Math.max(0, ...messages.map((one) => Number(one.ts)));
