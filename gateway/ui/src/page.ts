// Everything the page knows, and how each frame, click and passing second changes it.
// No IO here: what must be done outside is left in `effects` for socket.ts.

import * as Link from "./connection";
import * as Sessions from "./session-list";
import * as Talk from "./transcript";
import type {
  AgentEvent,
  Approval,
  ChatEvent,
  Decision,
  Event,
  Frame,
  Hello,
  History,
  PairingRequest,
  Request,
  Response,
  SessionRow,
  Unit,
  WireError,
} from "./wire";

export type Effect =
  | { do: "open" }
  | { do: "close"; code: number; reason: string }
  | { do: "send"; frame: Request }
  | { do: "forget-token" };

/** A request that waits for its answer. */
interface Call {
  method: string;
  at: number;
  sessionKey?: string;
  runId?: string;
}

export interface Page {
  connection: Link.Connection;
  instanceId: string;
  token: string | null;
  gateway: { version: string; agentId: string } | null;
  calls: Readonly<Record<string, Call>>;
  nextCall: number;
  sessions: Sessions.SessionList;
  selected: string | null;
  transcripts: Readonly<Record<string, Talk.Transcript>>;
  historyLimit: number;
  pairing: PairingRequest[];
  approvals: Approval[];
  units: Unit[];
  statusAt: number;
  /** The last thing that a screen reader should say. */
  spoken: string;
  /** The last request that failed by itself, in words. */
  trouble: string | null;
  effects: Effect[];
}

export type Input =
  | { kind: "sign-in"; token: string }
  | { kind: "sign-out" }
  | { kind: "frame"; frame: Frame }
  | { kind: "closed"; code: number; reason: string; random: number }
  | { kind: "clock" }
  | { kind: "retry" }
  | { kind: "select"; key: string }
  | { kind: "say"; text: string; runId: string }
  | { kind: "withdraw"; id: string }
  | { kind: "stop" }
  | { kind: "older" }
  | { kind: "pairing"; verdict: "approve" | "dismiss"; request: PairingRequest }
  | { kind: "decide"; id: string; decision: Decision }
  | { kind: "quiet" };

const NOT_NOW = "Not connected: this can be answered when the gateway is back.";
const HISTORY_STEP = 200;
const HISTORY_MOST = 1000;
const STATUS_EVERY_MS = 15_000;

export function firstPage(instanceId: string, selected: string | null): Page {
  return {
    connection: Link.signedOut,
    instanceId,
    token: null,
    gateway: null,
    calls: {},
    nextCall: 1,
    sessions: Sessions.noSessions,
    selected,
    transcripts: {},
    historyLimit: HISTORY_STEP,
    pairing: [],
    approvals: [],
    units: [],
    statusAt: 0,
    spoken: "",
    trouble: null,
    effects: [],
  };
}

export function step(before: Page, input: Input, now: number): Page {
  const page = { ...before, effects: [] };
  switch (input.kind) {
    case "sign-in":
      return open({ ...page, token: input.token, connection: { ...page.connection, attempt: 0 } }, now);
    case "sign-out": {
      const fresh = firstPage(page.instanceId, null);
      return { ...fresh, effects: [{ do: "forget-token" }, { do: "close", code: 1000, reason: "signed out" }] };
    }
    case "frame":
      return onFrame(page, input.frame, now);
    case "closed":
      return onClosed(page, input, now);
    case "clock":
      return onClock(page, now);
    case "retry":
      return page.connection.phase.is === "waiting" || page.connection.phase.is === "refused" ? open(page, now) : page;
    case "select":
      return select(page, input.key, now);
    case "say":
      return say(page, input.text, input.runId, now);
    case "withdraw":
      return talk(page, page.selected, (t) => Talk.withdraw(t, input.id));
    case "stop":
      return stop(page, now);
    case "older":
      return loadHistory({ ...page, historyLimit: Math.min(HISTORY_MOST, page.historyLimit * 2) }, page.selected, now);
    case "pairing": {
      if (page.connection.phase.is !== "live") return { ...page, trouble: NOT_NOW };
      const { channel, code } = input.request;
      const pairing = page.pairing.filter((r) => r.code !== code || r.channel !== channel);
      return call({ ...page, pairing }, `channels.pairing.${input.verdict}`, { channel, code }, now);
    }
    case "decide":
      if (page.connection.phase.is !== "live") return { ...page, trouble: NOT_NOW };
      return call(
        withoutApproval(page, input.id),
        "exec.approval.resolve",
        { id: input.id, decision: input.decision },
        now,
      );
    case "quiet":
      return { ...page, trouble: null };
  }
}

export const transcriptOf = (page: Page): Talk.Transcript =>
  (page.selected !== null && page.transcripts[page.selected]) || Talk.blank;

// --- the person -----------------------------------------------------------------------------------------------------

function select(page: Page, key: string, now: number): Page {
  const next = { ...page, selected: key, historyLimit: HISTORY_STEP, sessions: Sessions.markSeen(page.sessions, key) };
  return loadHistory(next, key, now);
}

function say(page: Page, text: string, runId: string, now: number): Page {
  if (page.selected === null || text.trim() === "") return page;
  const next = talk(page, page.selected, (t) => Talk.say(t, runId, text, now));
  return page.connection.phase.is === "live" ? send(next, page.selected, runId, text, now) : next;
}

function send(page: Page, sessionKey: string, runId: string, message: string, now: number): Page {
  return call(page, "chat.send", { sessionKey, message, idempotencyKey: runId }, now, { sessionKey, runId });
}

function stop(page: Page, now: number): Page {
  const sessionKey = page.selected;
  if (sessionKey === null) return page;
  if (page.connection.phase.is !== "live") return talk(page, sessionKey, Talk.keepBack);
  return transcriptOf(page).runs.reduce(
    (next, { runId }) => call(next, "chat.abort", { sessionKey, runId }, now, { sessionKey, runId }),
    page,
  );
}

// --- the socket -----------------------------------------------------------------------------------------------------

function open(page: Page, now: number): Page {
  const next = { ...page, calls: {}, connection: Link.connecting(page.connection, now) };
  return effect(next, { do: "open" });
}

function onClosed(page: Page, closed: { code: number; reason: string; random: number }, now: number): Page {
  const { phase, attempt } = page.connection;
  if (phase.is === "refused" || phase.is === "signed-out") return page;
  if (phase.is === "connecting" && closed.code === 1008) {
    const refused = Link.refusal({ code: "CLOSED", message: closed.reason || "The gateway closed the connection." });
    if (refused) return { ...page, connection: { ...page.connection, phase: refused } };
  }
  const why = closed.reason || "The gateway does not answer.";
  const delay = Link.retryDelay(attempt, closed.random);
  return { ...page, calls: {}, connection: Link.waiting(page.connection, now, delay, why) };
}

function onClock(page: Page, now: number): Page {
  const { phase } = page.connection;
  if (phase.is === "waiting") return now >= phase.until ? open(page, now) : page;
  const why = Link.overdue(page.connection, now);
  if (why) return effect(page, { do: "close", code: 4000, reason: why });
  const approvals = page.approvals.filter((a) => !a.expiresAtMs || a.expiresAtMs > now);
  if (approvals.length < page.approvals.length) return { ...page, approvals };
  if (phase.is === "live" && now - page.statusAt >= STATUS_EVERY_MS) return loadStatus(page, now);
  return page;
}

function onFrame(page: Page, frame: Frame, now: number): Page {
  const seq = frame.type === "event" ? frame.seq : undefined;
  const { connection, gap } = Link.heard(page.connection, now, seq);
  const next = { ...page, connection };
  if (frame.type === "res") return onResponse(next, frame, now);
  if (frame.type !== "event") return next;
  const after = onEvent(next, frame, now);
  return gap && connection.phase.is === "live" ? refresh(after, now) : after;
}

// --- answers --------------------------------------------------------------------------------------------------------

function onResponse(page: Page, response: Response, now: number): Page {
  const { [response.id]: asked, ...calls } = page.calls;
  if (!asked) return page;
  const next = { ...page, calls };
  return response.ok
    ? onResult(next, asked, response.payload ?? {}, now)
    : onError(next, asked, response.error ?? { code: "UNKNOWN", message: "The gateway gave no reason." }, now);
}

function onResult(page: Page, asked: Call, payload: unknown, now: number): Page {
  switch (asked.method) {
    case "connect":
      return onHello(page, payload as Hello, now);
    case "chat.history":
      return resend(
        talk(page, asked.sessionKey, (t) => Talk.restored(t, payload as History)),
        asked.sessionKey,
        now,
      );
    case "chat.send":
      return talk(page, asked.sessionKey, (t) => Talk.accepted(t, asked.runId ?? ""));
    case "sessions.list":
      return onSessions(page, (payload as { sessions?: SessionRow[] }).sessions ?? [], asked.at);
    case "channels.pairing.list":
      return { ...page, pairing: (payload as { requests?: PairingRequest[] }).requests ?? [] };
    case "channels.pairing.approve":
    case "channels.pairing.dismiss":
      return call(page, "channels.pairing.list", {}, now);
    case "exec.approval.list":
      return { ...page, approvals: Array.isArray(payload) ? (payload as Approval[]) : [] };
    case "status":
      return { ...page, units: (payload as { units?: Unit[] }).units ?? [] };
    default:
      return page;
  }
}

function onError(page: Page, asked: Call, error: WireError, now: number): Page {
  switch (asked.method) {
    case "connect": {
      const refused = Link.refusal(error);
      if (refused) return { ...page, connection: { ...page.connection, phase: refused } };
      return effect(page, { do: "close", code: 4000, reason: error.message });
    }
    case "chat.send":
      return talk(page, asked.sessionKey, (t) => Talk.notSent(t, asked.runId ?? "", error.message));
    case "chat.history": {
      // A conversation that was only just begun is unknown to the gateway until something is said.
      const known = page.sessions.rows.some((row) => row.key === asked.sessionKey);
      const next = talk(page, asked.sessionKey, (t) => ({ ...t, loaded: true }));
      return resend(known ? { ...next, trouble: error.message } : next, asked.sessionKey, now);
    }
    case "chat.abort":
    case "channels.pairing.approve":
    case "channels.pairing.dismiss":
    case "exec.approval.resolve":
      return { ...page, trouble: error.message };
    default:
      // Lists that this gateway or these scopes do not offer stay empty.
      return page;
  }
}

function onHello(page: Page, hello: Hello, now: number): Page {
  const main = hello.snapshot?.sessionDefaults;
  const next: Page = {
    ...page,
    connection: Link.live(page.connection, now, hello.policy?.tickIntervalMs),
    gateway: { version: hello.server.version, agentId: main?.defaultAgentId ?? "main" },
    selected: page.selected ?? main?.mainSessionKey ?? "agent:main:main",
  };
  return refresh(call(next, "sessions.subscribe", {}, now), now);
}

function onSessions(page: Page, rows: SessionRow[], askedAt: number): Page {
  const next = { ...page, sessions: Sessions.listed(page.sessions, rows, page.selected) };
  return rows
    .filter((row) => row.hasActiveRun === false)
    .reduce((all, row) => (all.transcripts[row.key] ? talk(all, row.key, (t) => Talk.settled(t, askedAt)) : all), next);
}

/** Messages written while the gateway was away; it knows their keys if they came through before. */
function resend(page: Page, sessionKey: string | undefined, now: number): Page {
  if (sessionKey === undefined) return page;
  const asked = new Set(Object.values(page.calls).map((c) => c.runId));
  return Talk.unsent(page.transcripts[sessionKey] ?? Talk.blank)
    .filter(({ runId }) => !asked.has(runId))
    .reduce((next, { runId = "", text }) => send(next, sessionKey, runId, text, now), page);
}

// --- events ---------------------------------------------------------------------------------------------------------

function onEvent(page: Page, { event, payload }: Event, now: number): Page {
  switch (event) {
    case "connect.challenge":
      if (page.connection.phase.is !== "connecting") return page;
      return call(page, "connect", Link.connectParams(page.token ?? "", page.instanceId), now);
    case "chat":
      return onChat(page, payload as ChatEvent, now);
    case "agent": {
      const { sessionKey } = payload as AgentEvent;
      return sessionKey && page.transcripts[sessionKey]
        ? talk(page, sessionKey, (t) => Talk.agent(t, payload as AgentEvent, now))
        : page;
    }
    case "sessions.changed":
      return loadSessions(page, now);
    case "channels.pairing.changed":
      return call(page, "channels.pairing.list", {}, now);
    case "exec.approval.requested": {
      const approval = payload as Approval;
      const spoken = `The agent asks to run: ${approval.request.command}`;
      return { ...page, approvals: [...withoutApproval(page, approval.id).approvals, approval], spoken };
    }
    case "exec.approval.resolved":
      return withoutApproval(page, (payload as { id: string }).id);
    default:
      return page;
  }
}

function onChat(page: Page, event: ChatEvent, now: number): Page {
  const { sessionKey } = event;
  const over = event.state === "final" || event.state === "error" || event.state === "aborted";
  const before = page.transcripts[sessionKey];
  let next = page;
  if (before) {
    next = talk(next, sessionKey, (t) => Talk.chat(t, event, now));
    const news = over || !before.runs.some((r) => r.runId === event.runId);
    if (news && Talk.isForeign(before, event.runId)) next = loadHistory(next, sessionKey, now);
  }
  if (!over) return next;
  if (sessionKey !== page.selected) next = { ...next, sessions: Sessions.markUnseen(next.sessions, sessionKey) };
  else next = { ...next, spoken: ending(next.transcripts[sessionKey] ?? Talk.blank, event) };
  return loadSessions(next, now);
}

function ending(transcript: Talk.Transcript, event: ChatEvent): string {
  if (event.state === "aborted") return "Stopped.";
  if (event.state === "error") return `The run failed. ${event.errorMessage ?? ""}`;
  const said = transcript.items.findLast((i) => i.kind === "reply" && i.runId === event.runId);
  return said?.kind === "reply" ? said.text : "Done.";
}

// --- parts ----------------------------------------------------------------------------------------------------------

function withoutApproval(page: Page, id: string): Page {
  return { ...page, approvals: page.approvals.filter((a) => a.id !== id) };
}

function effect(page: Page, ...effects: Effect[]): Page {
  return { ...page, effects: [...page.effects, ...effects] };
}

function call(
  page: Page,
  method: string,
  params: Record<string, unknown>,
  now: number,
  about: Partial<Call> = {},
): Page {
  const id = `${page.nextCall}:${page.instanceId}`;
  const next = { ...page, nextCall: page.nextCall + 1, calls: { ...page.calls, [id]: { method, at: now, ...about } } };
  return effect(next, { do: "send", frame: { type: "req", id, method, params } });
}

function isAsked(page: Page, method: string, sessionKey?: string): boolean {
  return Object.values(page.calls).some((c) => c.method === method && c.sessionKey === sessionKey);
}

function talk(page: Page, key: string | null | undefined, change: (t: Talk.Transcript) => Talk.Transcript): Page {
  if (key === null || key === undefined) return page;
  return { ...page, transcripts: { ...page.transcripts, [key]: change(page.transcripts[key] ?? Talk.blank) } };
}

/** Asks again for all that may have changed unseen: after a connect or a gap. */
function refresh(page: Page, now: number): Page {
  const open = Object.keys(page.transcripts).filter(
    (key) => key === page.selected || page.transcripts[key]?.runs.length,
  );
  const keys = new Set(page.selected === null ? open : [page.selected, ...open]);
  const next = [...keys].reduce((all, key) => loadHistory(all, key, now), page);
  const lists = ["channels.pairing.list", "exec.approval.list"];
  return loadStatus(
    lists.reduce((all, method) => call(all, method, {}, now), loadSessions(next, now)),
    now,
  );
}

function loadHistory(page: Page, sessionKey: string | null, now: number): Page {
  if (sessionKey === null || page.connection.phase.is !== "live") return page;
  return call(page, "chat.history", { sessionKey, limit: page.historyLimit }, now, { sessionKey });
}

function loadSessions(page: Page, now: number): Page {
  if (isAsked(page, "sessions.list")) return page;
  return call(page, "sessions.list", { limit: 200, includeDerivedTitles: true }, now);
}

function loadStatus(page: Page, now: number): Page {
  return call({ ...page, statusAt: now }, "status", {}, now);
}
