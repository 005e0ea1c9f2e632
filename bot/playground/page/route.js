// Where one is, kept in the address so that a reload comes back: #/<person>/<channel or home>/<thread>.

export const START = { user: "U1", place: "C2", thread: null };

export function readRoute() {
  if (!location.hash.startsWith("#/")) return { ...START };
  const [user, place, thread] = location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  return { user: user || START.user, place: place || START.place, thread: thread || null };
}

export function writeRoute({ user, place, thread }) {
  const hash = `#/${[user, place, thread].filter(Boolean).map(encodeURIComponent).join("/")}`;
  if (hash !== location.hash) history.replaceState(null, "", hash);
}
