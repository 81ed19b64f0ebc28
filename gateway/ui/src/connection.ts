// The life of the socket without the socket: what a challenge, a refusal, a silence or a close mean for the page.

import type { WireError } from "./wire";

export const PROTOCOL = 4;
const HANDSHAKE_MS = 15_000;
const SLOWEST_RETRY_MS = 30_000;

export type Phase =
  | { is: "signed-out" }
  | { is: "connecting"; since: number }
  | { is: "live" }
  | { is: "waiting"; until: number; why: string }
  | { is: "refused"; why: string; wantsToken: boolean };

export interface Connection {
  phase: Phase;
  /** Failed attempts since the last live connection. */
  attempt: number;
  /** When the last frame came, Unix ms. */
  heardAt: number;
  /** `seq` of the last event; 0 before the first. */
  seq: number;
  /** The gateway promises an event at least this often, ms. */
  tickMs: number;
}

export const signedOut: Connection = { phase: { is: "signed-out" }, attempt: 0, heardAt: 0, seq: 0, tickMs: 30_000 };

export function connectParams(token: string, instanceId: string): Record<string, unknown> {
  return {
    minProtocol: PROTOCOL,
    maxProtocol: PROTOCOL,
    client: {
      id: "openclaw-control-ui",
      displayName: "Creel page",
      version: "0.1.0",
      platform: "web",
      mode: "webchat",
      instanceId,
    },
    role: "operator",
    scopes: ["operator.read", "operator.write", "operator.pairing", "operator.approvals", "operator.admin"],
    caps: ["tool-events"],
    auth: { token },
  };
}

export function connecting(connection: Connection, now: number): Connection {
  return { ...connection, phase: { is: "connecting", since: now }, heardAt: now, seq: 0 };
}

export function live(connection: Connection, now: number, tickMs = 30_000): Connection {
  return { ...connection, phase: { is: "live" }, attempt: 0, heardAt: now, tickMs: Math.max(1_000, tickMs) };
}

/** Notes a frame, and says whether events were missed before it. */
export function heard(connection: Connection, now: number, seq?: number): { connection: Connection; gap: boolean } {
  const gap = seq !== undefined && seq > connection.seq + 1;
  return { connection: { ...connection, heardAt: now, seq: seq ?? connection.seq }, gap };
}

/** Doubles from 0.4 s to 30 s, and takes a random half of it away so that many pages do not return at once. */
export function retryDelay(attempt: number, random: number): number {
  const full = Math.min(SLOWEST_RETRY_MS, 400 * 2 ** Math.min(attempt, 10));
  return Math.round(full * (0.5 + random / 2));
}

export function waiting(connection: Connection, now: number, delay: number, why: string): Connection {
  return { ...connection, phase: { is: "waiting", until: now + delay, why }, attempt: connection.attempt + 1 };
}

/** What an error answer to `connect` means: `null` = worth another try by itself. */
export function refusal(error: WireError): Extract<Phase, { is: "refused" }> | null {
  const code = error.details?.code ?? error.code;
  if (error.retryable || error.code === "UNAVAILABLE" || code === "AUTH_RATE_LIMITED") return null;
  if (code === "PROTOCOL_MISMATCH" || error.message.startsWith("protocol mismatch")) {
    return { is: "refused", why: "The gateway speaks another protocol version. Reload this page.", wantsToken: false };
  }
  if (code.startsWith("AUTH_") || /unauthorized|token/i.test(error.message)) {
    return { is: "refused", why: "The gateway did not accept this token.", wantsToken: true };
  }
  return { is: "refused", why: error.message, wantsToken: false };
}

/** Why the socket must be closed now, or `null` while all is well. */
export function overdue(connection: Connection, now: number): string | null {
  const { phase } = connection;
  if (phase.is === "connecting" && now - phase.since > HANDSHAKE_MS) return "no answer";
  if (phase.is === "live" && now - connection.heardAt > 2 * connection.tickMs) return "tick timeout";
  return null;
}
