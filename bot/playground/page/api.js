// The control API of the playground's server. Everything the page knows or does passes through here.

/** POST to the control API. Never throws: a server that is away answers `{ok: false, error: "unreachable"}`. */
export async function post(path, body) {
  try {
    const response = await fetch(`/control/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return await response.json();
  } catch {
    return { ok: false, error: "unreachable" };
  }
}

/** What *user* sees, or null if there is no such person. */
export async function readState(user) {
  const response = await fetch(`/control/state?user=${encodeURIComponent(user)}`, { cache: "no-store" });
  if (response.status === 404) return null;
  if (!response.ok) throw new Error(`the playground answered ${response.status}`);
  return response.json();
}

export async function readLog(after) {
  const response = await fetch(`/control/log?after=${after}`, { cache: "no-store" });
  return response.ok ? (await response.json()).entries ?? [] : [];
}

/** Call *changed* whenever the server says that something did, and *lost(bool)* as the stream comes and goes. */
export function listen(changed, lost) {
  const stream = new EventSource("/control/events");
  stream.onmessage = changed;
  stream.onopen = () => {
    lost(false);
    changed();
  };
  stream.onerror = () => lost(true);
}

const PLAIN = {
  unreachable: "The playground does not answer. Is it still running?",
  operation_timeout: "Signoff did not answer within 3 seconds. Try again.",
  timeout: "Signoff did not answer within 3 seconds. Try again.",
  dispatch_failed: "Signoff could not be reached. Try again in a moment.",
  bot_unreachable: "Signoff could not be reached. Try again in a moment.",
  not_in_channel: "You are not a member of this channel.",
  is_archived: "This channel is archived.",
  view_not_found: "This form is no longer open.",
  message_not_found: "This message is no longer there.",
  unknown_command: "There is no such command. Type / to see the list.",
};

/** What went wrong, in words for the person who pressed the button. */
export function explain(answer) {
  const code = String(answer?.error ?? "unknown");
  if (PLAIN[code]) return PLAIN[code];
  if (code.startsWith("no element ")) return "This has changed since it was shown here.";
  return /\s/.test(code) ? code[0].toUpperCase() + code.slice(1) : `That did not work (${code}).`;
}
