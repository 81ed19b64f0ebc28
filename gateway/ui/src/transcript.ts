// One conversation: what was said, which tools ran, which runs are going on. Pure: history and events in, items out.

import { type AgentEvent, type Block, type ChatEvent, type History, type Message, textOf } from "./wire";

interface Base {
  /** The same for the live item and for its later copy in the history, so that the page does not redraw it. */
  id: string;
  runId?: string;
  /** Unix time in ms; 0 when unknown. */
  at: number;
}

export interface Said extends Base {
  kind: "user";
  text: string;
  state: "sending" | "sent" | "failed";
  error?: string;
}

export interface Reply extends Base {
  kind: "reply";
  text: string;
  state: "streaming" | "done" | "aborted" | "failed";
  error?: string;
}

export interface ToolRun extends Base {
  kind: "tool";
  name: string;
  args: unknown;
  output: string;
  state: "running" | "done" | "failed" | "stopped";
  endedAt?: number;
}

export interface Note extends Base {
  kind: "note";
  text: string;
}

export type Item = Said | Reply | ToolRun | Note;

export interface Run {
  runId: string;
  since: number;
  /** The gateway has answered `chat.send`, or an event of the run was seen. */
  accepted: boolean;
  phase?: string;
}

export interface Transcript {
  items: Item[];
  runs: Run[];
  loaded: boolean;
  hasMore: boolean;
}

export const blank: Transcript = { items: [], runs: [], loaded: false, hasMore: false };

const saidId = (runId: string) => `${runId}:user`;
const replyId = (runId: string, n: number) => `${runId}/${n}`;

// --- what the person does -------------------------------------------------------------------------------------------

export function say(t: Transcript, runId: string, text: string, now: number): Transcript {
  const said: Said = { kind: "user", id: saidId(runId), runId, text, at: now, state: "sending" };
  return { ...t, items: [...t.items, said], runs: [...t.runs, { runId, since: now, accepted: false }] };
}

export function accepted(t: Transcript, runId: string): Transcript {
  return {
    ...t,
    items: t.items.map((i) => (i.kind === "user" && i.runId === runId ? { ...i, state: "sent" } : i)),
    runs: t.runs.map((r) => (r.runId === runId ? { ...r, accepted: true } : r)),
  };
}

export function notSent(t: Transcript, runId: string, error: string): Transcript {
  const items = t.items.map((i): Item =>
    i.kind === "user" && i.runId === runId ? { ...i, state: "failed", error } : i,
  );
  return { ...t, items, runs: without(t.runs, runId) };
}

/** Stop, before anything went out: what waits for the gateway is not sent after all. */
export function keepBack(t: Transcript): Transcript {
  return unsent(t).reduce((next, { runId = "" }) => notSent(next, runId, "stopped before it went out"), t);
}

/** Takes a message that could not be sent out again, so that it can be edited. */
export function withdraw(t: Transcript, id: string): Transcript {
  return { ...t, items: t.items.filter((i) => i.id !== id) };
}

/** Messages that the gateway has not answered yet; sending them again with the same key is safe. */
export function unsent(t: Transcript): Said[] {
  return t.items.filter((i): i is Said => i.kind === "user" && i.state === "sending");
}

// --- what the gateway says ------------------------------------------------------------------------------------------

/** Another client or a channel began this run: its first message is only in the history. */
export function isForeign(t: Transcript, runId: string): boolean {
  return !t.items.some((i) => i.kind === "user" && i.runId === runId);
}

export function chat(before: Transcript, event: ChatEvent, now: number): Transcript {
  const { runId } = event;
  // An event of the run may overtake the answer to `chat.send`.
  const t = before.runs.some((r) => r.runId === runId && !r.accepted) ? accepted(before, runId) : before;
  switch (event.state) {
    case "status":
      return started(t, runId, now, event.phase);
    case "delta":
      return spoken(started(t, runId, now), event, "streaming", now);
    case "final":
      return ended(event.message ? spoken(t, event, "done", now) : t, runId, "done", now);
    case "aborted": {
      const said = event.message ? spoken(t, event, "aborted", now) : t;
      return ended(openReply(said, runId) ? said : note(said, runId, "Stopped.", now), runId, "aborted", now);
    }
    case "error": {
      const why = event.errorMessage ?? "The run failed; the log of the agent says why (creel logs).";
      const open = openReply(t, runId) ?? { kind: "reply", id: nextReplyId(t, runId), runId, text: "", at: now };
      const failed: Reply = { ...open, state: "failed", error: why };
      return ended(put(t, failed), runId, "failed", now);
    }
  }
}

export function agent(t: Transcript, event: AgentEvent, now: number): Transcript {
  const data = event.data ?? {};
  if (event.stream === "lifecycle" && data.phase === "start") return started(t, event.runId, now);
  if (event.stream !== "tool" || typeof data.toolCallId !== "string") return t;

  const id = data.toolCallId;
  const known = t.items.find((i): i is ToolRun => i.kind === "tool" && i.id === id);
  const tool: ToolRun = known ?? {
    kind: "tool",
    id,
    runId: event.runId,
    name: typeof data.name === "string" ? data.name : "tool",
    args: data.args,
    output: "",
    state: "running",
    at: now,
  };
  const going = closeReply(started(t, event.runId, now), event.runId);
  switch (data.phase) {
    case "update":
      return put(going, { ...tool, output: textOf(data.partialResult) || tool.output });
    case "result":
      return put(going, {
        ...tool,
        output: textOf(data.result) || tool.output,
        state: data.isError === true ? "failed" : "done",
        endedAt: now,
      });
    default:
      return put(going, { ...tool, args: data.args ?? tool.args });
  }
}

/** Replaces the past by the gateway's record and keeps what is newer than it: unsent messages and running turns. */
export function restored(t: Transcript, history: History): Transcript {
  const messages = history.messages ?? [];
  const finished = new Set(messages.filter((m) => m.stopReason && m.stopReason !== "toolUse").map(runOf));
  const inFlight = history.inFlightRun?.runId;
  const runs = t.runs.filter((r) => !finished.has(r.runId) || r.runId === inFlight);
  if (inFlight && !runs.some((r) => r.runId === inFlight)) runs.push({ runId: inFlight, since: 0, accepted: true });

  const active = new Set(runs.map((r) => r.runId));
  const now = new Map(t.items.map((i) => [i.id, i]));
  const isFresher = (i: Item) => i.kind !== "user" && i.runId !== undefined && active.has(i.runId);
  const past = itemsOf(messages, active).map((i) => (isFresher(i) ? (now.get(i.id) ?? i) : i));
  const known = new Set(past.map((i) => i.id));
  const newer = t.items.filter(
    (i) =>
      !known.has(i.id) && ((i.kind === "user" && i.state !== "sent") || (i.runId !== undefined && active.has(i.runId))),
  );
  const heard = runs.map((r) => (known.has(saidId(r.runId)) ? { ...r, accepted: true } : r));
  return { items: [...past, ...newer], runs: heard, loaded: true, hasMore: history.hasMore ?? false };
}

/** The gateway says that nothing runs here: forgets runs that it had accepted before `since`. */
export function settled(t: Transcript, since: number): Transcript {
  const over = t.runs.filter((r) => r.accepted && r.since < since);
  return over.reduce((next, run) => ended(next, run.runId, "done", since), t);
}

// --- parts ----------------------------------------------------------------------------------------------------------

function without(runs: Run[], runId: string): Run[] {
  return runs.filter((r) => r.runId !== runId);
}

function put(t: Transcript, item: Item): Transcript {
  const at = t.items.findLastIndex((i) => i.id === item.id);
  return { ...t, items: at < 0 ? [...t.items, item] : t.items.with(at, item) };
}

function started(t: Transcript, runId: string, now: number, phase?: string): Transcript {
  const run = t.runs.find((r) => r.runId === runId);
  const next: Run = { since: now, ...run, runId, accepted: true, phase: phase ?? run?.phase };
  if (run && run.accepted && run.phase === next.phase) return t;
  return { ...t, runs: run ? t.runs.map((r) => (r === run ? next : r)) : [...t.runs, next] };
}

function repliesOf(t: Transcript, runId: string): Reply[] {
  return t.items.filter((i): i is Reply => i.kind === "reply" && i.runId === runId);
}

function openReply(t: Transcript, runId: string): Reply | undefined {
  const last = repliesOf(t, runId).at(-1);
  return last?.state === "streaming" || last?.state === "aborted" ? last : undefined;
}

const nextReplyId = (t: Transcript, runId: string) => replyId(runId, repliesOf(t, runId).length);

function closeReply(t: Transcript, runId: string): Transcript {
  const open = openReply(t, runId);
  return open ? put(t, { ...open, state: "done" }) : t;
}

function note(t: Transcript, runId: string, text: string, now: number): Transcript {
  return put(t, { kind: "note", id: `${runId}:note`, runId, text, at: now });
}

function spoken(t: Transcript, event: ChatEvent, state: Reply["state"], now: number): Transcript {
  const { runId } = event;
  const open = openReply(t, runId);
  const earlier = repliesOf(t, runId).filter((r) => r !== open);
  const text = event.message
    ? remainder(textOf(event.message.content), earlier)
    : event.replace
      ? (event.deltaText ?? "")
      : (open?.text ?? "") + (event.deltaText ?? "");
  if (!open && text.trim() === "") return t;
  const base: Base = open ?? { id: nextReplyId(t, runId), runId, at: now };
  return put(t, { kind: "reply", id: base.id, runId, at: base.at, text, state });
}

/** A snapshot may hold the whole run or only what came after the last tool; either way this is the part not yet shown. */
function remainder(whole: string, earlier: Reply[]): string {
  let rest = whole;
  for (const { text } of earlier) {
    const shown = text.trim();
    const at = rest.trimStart();
    if (!at.startsWith(shown)) return whole;
    rest = at.slice(shown.length).trimStart();
  }
  return rest;
}

function ended(t: Transcript, runId: string, how: Reply["state"], now: number): Transcript {
  const items = t.items.map((i): Item => {
    if (i.runId !== runId) return i;
    if (i.kind === "reply" && i.state === "streaming") return { ...i, state: how };
    if (i.kind === "tool" && i.state === "running") return { ...i, state: "stopped", endedAt: now };
    return i;
  });
  return { ...t, items, runs: without(t.runs, runId) };
}

// --- history --------------------------------------------------------------------------------------------------------

const runOf = (m: Message) => m.__openclaw?.runId ?? m.runId ?? m.idempotencyKey?.replace(/:user$/, "");

function itemsOf(messages: Message[], active: Set<string>): Item[] {
  const items: Item[] = [];
  const tools = new Map<string, ToolRun>();
  const replies = new Map<string, number>();

  const result = (id: string | undefined, name: string | undefined, content: unknown, failed: boolean, at: number) => {
    let tool = tools.get(id ?? "");
    if (!tool) {
      tool = {
        kind: "tool",
        id: id ?? `result-${items.length}`,
        name: name ?? "tool",
        args: undefined,
        output: "",
        state: "done",
        at,
      };
      items.push(tool);
    }
    Object.assign(tool, { output: textOf(content), state: failed ? "failed" : "done", endedAt: at });
  };

  messages.forEach((message, index) => {
    const at = message.timestamp ?? 0;
    const runId = runOf(message);
    const id = message.idempotencyKey ?? message.__openclaw?.id ?? `past-${message.__openclaw?.seq ?? index}`;
    const blocks: Block[] =
      typeof message.content === "string" ? [{ type: "text", text: message.content }] : (message.content ?? []);

    if (message.role === "user") {
      items.push({ kind: "user", id, runId, text: textOf(blocks), at, state: "sent" });
    } else if (message.role === "toolResult") {
      result(message.toolCallId, message.toolName, message.content, message.isError === true, at);
    } else if (message.role === "assistant") {
      blocks.forEach((block, n) => {
        if (block.type === "text" && block.text?.trim()) {
          const count = replies.get(runId ?? "") ?? 0;
          if (runId) replies.set(runId, count + 1);
          const failed = message.stopReason === "error";
          const state = failed ? "failed" : message.stopReason === "aborted" ? "aborted" : "done";
          items.push({
            kind: "reply",
            id: runId ? replyId(runId, count) : `${id}/${n}`,
            runId,
            text: block.text,
            at,
            state,
          });
        } else if (block.type === "toolCall") {
          const callId = block.id ?? block.toolCallId ?? `${id}/${n}`;
          const args = block.arguments ?? block.args;
          const tool: ToolRun = {
            kind: "tool",
            id: callId,
            runId,
            name: block.name ?? block.toolName ?? "tool",
            args,
            output: "",
            state: "running",
            at,
          };
          tools.set(callId, tool);
          items.push(tool);
        } else if (block.type === "toolResult") {
          result(
            block.toolCallId ?? block.id,
            block.name ?? block.toolName,
            block.content ?? block.result ?? block.text,
            block.isError === true,
            at,
          );
        }
      });
      if (message.stopReason === "error" && message.errorMessage) {
        items.push({
          kind: "reply",
          id: `${id}/error`,
          runId,
          text: "",
          at,
          state: "failed",
          error: message.errorMessage,
        });
      }
    } else {
      items.push({ kind: "note", id, runId, text: textOf(blocks), at });
    }
  });

  // A call without a result in a run that is over was cut off.
  return items.map((i) =>
    i.kind === "tool" && i.state === "running" && !(i.runId && active.has(i.runId)) ? { ...i, state: "stopped" } : i,
  );
}
