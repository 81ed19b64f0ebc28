// The gateway token comes in the address after `#`, which browsers never send to a server, and leaves the address at once.
// It lives as long as the tab unless the person asks to stay signed in.

const KEY = "creel.token";

/** Takes `token` and `session` out of the fragment. The token is stored for this tab and removed from the address bar. */
export function takeFromAddress(): { token: string | null; session: string | null } {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const session = fragment.get("session");
  const token = fragment.get("token");
  if (token) {
    keep(token, false);
    showSession(session);
  }
  return { token: token || stored(), session };
}

export function keep(token: string, beyondThisTab: boolean): void {
  forget();
  (beyondThisTab ? localStorage : sessionStorage).setItem(KEY, token);
}

export function stored(): string | null {
  return sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY);
}

export function forget(): void {
  sessionStorage.removeItem(KEY);
  localStorage.removeItem(KEY);
}

/** Keeps the open conversation in the address, so that a reload or a bookmark returns to it. */
export function showSession(key: string | null): void {
  const fragment = key ? `#session=${encodeURIComponent(key).replaceAll("%3A", ":")}` : "";
  if (location.hash !== fragment) history.replaceState(null, "", location.pathname + location.search + fragment);
}

/** Random, also where `crypto.randomUUID` is missing (plain http from another machine). */
export function freshId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("");
}
