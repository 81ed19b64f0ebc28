// The gateway's typed WebSocket frames, as far as this page reads them. Unknown keys are ignored, missing ones are tolerated.

export interface Request {
  type: "req";
  id: string;
  method: string;
  params: Record<string, unknown>;
}

export interface WireError {
  code: string;
  message: string;
  details?: { code?: string; reason?: string };
  retryable?: boolean;
  retryAfterMs?: number;
}

export interface Response {
  type: "res";
  id: string;
  ok: boolean;
  payload?: unknown;
  error?: WireError;
}

export interface Event {
  type: "event";
  event: string;
  payload?: unknown;
  /** Counts the events of this connection from 1; a jump means that something was missed. */
  seq?: number;
}

export type Frame = Request | Response | Event;

export interface Hello {
  protocol: number;
  server: { version: string; connId: string };
  features?: { methods?: string[]; events?: string[] };
  snapshot?: { sessionDefaults?: { defaultAgentId?: string; mainSessionKey?: string } };
  policy?: { tickIntervalMs?: number };
}

/** One entry of a message's content. Names differ between writers of transcripts, so all are optional. */
export interface Block {
  type: string;
  text?: string;
  id?: string;
  toolCallId?: string;
  name?: string;
  toolName?: string;
  arguments?: unknown;
  args?: unknown;
  content?: unknown;
  result?: unknown;
  isError?: boolean;
}

export interface Message {
  role: string;
  content?: string | Block[];
  /** Unix time in ms. */
  timestamp?: number;
  idempotencyKey?: string;
  stopReason?: string;
  errorMessage?: string;
  toolCallId?: string;
  toolName?: string;
  isError?: boolean;
  runId?: string;
  __openclaw?: { id?: string; seq?: number; runId?: string; kind?: string };
}

export interface History {
  sessionKey?: string;
  messages?: Message[];
  hasMore?: boolean;
  inFlightRun?: { runId?: string } | null;
}

export interface ChatEvent {
  runId: string;
  sessionKey: string;
  state: "status" | "delta" | "final" | "aborted" | "error";
  phase?: string;
  deltaText?: string;
  /** Cumulative: all the text so far. */
  message?: Message;
  replace?: boolean;
  errorMessage?: string;
}

export interface AgentEvent {
  runId: string;
  sessionKey?: string;
  stream: string;
  data?: Record<string, unknown>;
}

export interface SessionRow {
  key: string;
  kind?: string;
  agentId?: string;
  displayName?: string | null;
  label?: string | null;
  derivedTitle?: string | null;
  channel?: string | null;
  model?: string | null;
  /** Unix time in ms. */
  updatedAt?: number | null;
  hasActiveRun?: boolean;
}

export interface PairingRequest {
  channel: string;
  accountId?: string;
  code: string;
  senderId: string;
  senderName?: string;
  createdAtMs?: number;
  expiresAtMs?: number;
}

/** A command that waits for a person's word. */
export interface Approval {
  id: string;
  request: { command: string; cwd?: string | null; agentId?: string | null; sessionKey?: string | null };
  createdAtMs?: number;
  expiresAtMs?: number;
}

export type Decision = "allow-once" | "allow-always" | "deny";

export interface Unit {
  name: string;
  kind: string;
  state: string;
  pid?: number | null;
  restarts?: number;
  uptimeMs?: number | null;
  isolation?: { level?: string | number };
}

/** Reads one text frame; `null` when it is not one of ours. */
export function readFrame(text: string): Frame | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null) return null;
  const frame = value as { type?: unknown; id?: unknown; event?: unknown };
  if (frame.type === "res" && typeof frame.id === "string") return value as Response;
  if (frame.type === "event" && typeof frame.event === "string") return value as Event;
  return null;
}

/** The readable text of a message's content, a tool's result, or whatever else a writer put there. */
export function textOf(content: unknown): string {
  if (content === undefined || content === null) return "";
  if (typeof content === "string") return content;
  if (Array.isArray(content)) return content.map(textOf).filter(Boolean).join("\n");
  if (typeof content !== "object") return String(content);
  const block = content as Block;
  if (typeof block.text === "string") return block.text;
  if (block.content !== undefined) return textOf(block.content);
  if (block.type === "image") return "[image]";
  return JSON.stringify(content, null, 2);
}
