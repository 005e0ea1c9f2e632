// What is new to a person since they last looked, by channel. Kept for as long as the browser tab is.

const KEY = "signoff-seen";

export class Unread {
  constructor() {
    this.seen = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
  }

  /**
   * The channels with messages from others that *state.me* has not had in view, each with how many of those are
   * meant for them: all in a direct message, elsewhere the ones that mention them. The first look sets the start.
   */
  of(state) {
    this.seen ??= { start: newest(Object.values(state.messages).flat()) };
    const fresh = new Map();
    for (const { id, kind } of state.channels) {
      const since = this.since(state.me, id);
      const news = (state.messages[id] ?? []).filter((one) => one.user !== state.me && Number(one.ts) > since);
      const mine = kind === "dm" ? news : news.filter((one) => JSON.stringify([one.text, one.blocks]).includes(`<@${state.me}>`));
      if (news.length) fresh.set(id, mine.length);
    }
    return fresh;
  }

  /** The people for whom something is new in their direct messages with the bot. */
  people(state) {
    const told = Object.entries(state.direct ?? {});
    return new Set(told.filter(([user, { channel, ts }]) => Number(ts) > this.since(user, channel)).map(([user]) => user));
  }

  since(user, channel) {
    return Math.max(this.seen[`${user}/${channel}`] ?? 0, this.seen.start);
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
