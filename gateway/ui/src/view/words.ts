// Times, durations and sizes in as few letters as a calm page needs.

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

export const timeOf = (at: number): string => (at ? clock.format(at) : "");
export const fullTime = (at: number): string => (at ? full.format(at) : "");

export function ago(at: number, now: number): string {
  const minutes = Math.floor((now - at) / 60_000);
  if (minutes < 1) return "now";
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h`;
  if (minutes < 7 * 24 * 60) return `${Math.floor(minutes / 1440)} d`;
  return day.format(at);
}

export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(ms < 10_000 ? 1 : 0)} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min ${Math.floor((ms % 60_000) / 1_000)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d`;
}

/** The one line that says what a tool call is about: its command, path, query … or all of its arguments. */
export function gist(args: unknown): string {
  if (args === undefined || args === null) return "";
  if (typeof args !== "object") return String(args);
  const map = args as Record<string, unknown>;
  const telling = ["command", "cmd", "path", "file_path", "url", "query", "pattern", "message", "name"];
  const key = telling.find((k) => typeof map[k] === "string");
  const text = key ? String(map[key]) : JSON.stringify(args);
  return (text === "{}" ? "" : text).replace(/\s+/g, " ").slice(0, 200);
}
