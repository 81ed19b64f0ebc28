// The list of conversations, newest first, with a mark on those that changed while nobody looked.

import type { SessionRow } from "./wire";

export interface SessionList {
  rows: SessionRow[];
  unseen: ReadonlySet<string>;
  loaded: boolean;
}

export const noSessions: SessionList = { rows: [], unseen: new Set(), loaded: false };

export function listed(list: SessionList, rows: SessionRow[], selected: string | null): SessionList {
  const before = new Map(list.rows.map((r) => [r.key, r.updatedAt ?? 0]));
  const unseen = new Set([...list.unseen].filter((key) => rows.some((r) => r.key === key)));
  for (const row of rows) {
    const newer = list.loaded && (row.updatedAt ?? 0) > (before.get(row.key) ?? 0);
    if (newer && row.key !== selected) unseen.add(row.key);
  }
  return { rows: [...rows].sort((a, b) => (b.updatedAt ?? 0) - (a.updatedAt ?? 0)), unseen, loaded: true };
}

export function markUnseen(list: SessionList, key: string): SessionList {
  return list.unseen.has(key) ? list : { ...list, unseen: new Set(list.unseen).add(key) };
}

export function markSeen(list: SessionList, key: string): SessionList {
  if (!list.unseen.has(key)) return list;
  return { ...list, unseen: new Set([...list.unseen].filter((k) => k !== key)) };
}

/** All keys in the order shown; a conversation that the gateway does not know yet stands first. */
export function keysOf(list: SessionList, selected: string | null): string[] {
  const keys = list.rows.map((r) => r.key);
  return selected && !keys.includes(selected) ? [selected, ...keys] : keys;
}

/** The neighbour of `selected`, going around at the ends. */
export function neighbour(list: SessionList, selected: string | null, step: 1 | -1): string | null {
  const keys = keysOf(list, selected);
  const at = keys.indexOf(selected ?? "");
  return keys[(at + step + keys.length) % keys.length] ?? null;
}

/** `agent:main:telegram:direct:42` → `telegram · direct · 42`; a given name wins, a new conversation shows its first words. */
export function titleOf(row: SessionRow | undefined, key: string, firstWords = ""): string {
  const given = row?.displayName || row?.label || row?.derivedTitle;
  if (given) return given;
  const [kind, agent, ...rest] = key.split(":");
  if (kind !== "agent" || !agent) return key;
  if (rest.length === 1 && rest[0] === "main") return agent === "main" ? "Main" : `${capital(agent)} · main`;
  if (rest[0] === "web") return firstWords || "New conversation";
  return rest.length ? rest.join(" · ") : agent;
}

/** The small line under the title. */
export function originOf(row: SessionRow | undefined, key: string): string {
  const agent = row?.agentId ?? key.split(":")[1] ?? "";
  return [row?.channel ?? "web", agent].filter(Boolean).join(" · ");
}

const capital = (word: string) => word.charAt(0).toUpperCase() + word.slice(1);
