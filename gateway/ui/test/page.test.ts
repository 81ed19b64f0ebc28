import { describe, expect, it } from "vitest";
import { retryDelay } from "../src/connection";
import { firstPage, type Input, type Page, step, transcriptOf } from "../src/page";
import type { Request } from "../src/wire";

const MAIN = "agent:main:main";
const OTHER = "agent:main:telegram:direct:42";

/** A page with its clock and the requests it made: frames in, state out. */
class Desk {
  page: Page = firstPage("test", null);
  now = 1_000_000;
  sent: Request[] = [];
  done: string[] = [];
  private seq = 0;

  tell(input: Input): this {
    this.page = step(this.page, input, this.now);
    for (const effect of this.page.effects) {
      this.done.push(effect.do);
      if (effect.do === "send") this.sent.push(effect.frame);
    }
    return this;
  }

  later(ms: number): this {
    this.now += ms;
    return this.tell({ kind: "clock" });
  }

  event(event: string, payload: unknown, seq = ++this.seq): this {
    this.seq = seq;
    return this.tell({ kind: "frame", frame: { type: "event", event, payload, seq } });
  }

  chat(state: string, more: object = {}, runId = "r1", sessionKey = MAIN): this {
    return this.event("chat", { runId, sessionKey, state, ...more });
  }

  delta(whole: string, piece = whole): this {
    return this.chat("delta", {
      deltaText: piece,
      message: { role: "assistant", content: [{ type: "text", text: whole }] },
    });
  }

  tool(phase: string, more: object = {}): this {
    return this.event("agent", {
      runId: "r1",
      sessionKey: MAIN,
      stream: "tool",
      data: { phase, name: "exec", toolCallId: "t1", ...more },
    });
  }

  /** Answers the newest request for `method`. */
  answer(method: string, payload: unknown, ok = true): this {
    const request = this.last(method);
    const error = payload as { code: string; message: string };
    return this.tell({ kind: "frame", frame: { type: "res", id: request.id, ok, ...(ok ? { payload } : { error }) } });
  }

  last(method: string): Request {
    const found = this.sent.findLast((r) => r.method === method);
    if (!found) throw new Error(`no ${method} was sent`);
    return found;
  }

  count(method: string): number {
    return this.sent.filter((r) => r.method === method).length;
  }

  connect(): this {
    this.seq = 0;
    this.tell({ kind: "frame", frame: { type: "event", event: "connect.challenge", payload: { nonce: "n", ts: 1 } } });
    return this.answer("connect", {
      type: "hello-ok",
      protocol: 4,
      server: { version: "0.1.0", connId: "c" },
      snapshot: { sessionDefaults: { defaultAgentId: "main", mainSessionKey: MAIN } },
      policy: { tickIntervalMs: 30_000 },
    });
  }

  drop(reason = "", code = 1006): this {
    return this.tell({ kind: "closed", code, reason, random: 0 });
  }

  get items() {
    return transcriptOf(this.page).items;
  }

  get phase() {
    return this.page.connection.phase;
  }
}

const live = () =>
  new Desk()
    .tell({ kind: "sign-in", token: "secret" })
    .connect()
    .answer("chat.history", { messages: [] })
    .answer("sessions.list", { sessions: [{ key: MAIN, updatedAt: 1 }] });

describe("connection", () => {
  it("waits for the challenge, then says who it is", () => {
    const desk = new Desk().tell({ kind: "sign-in", token: "secret" });
    expect(desk.done).toEqual(["open"]);
    desk.connect();
    expect(desk.last("connect").params).toMatchObject({
      minProtocol: 4,
      maxProtocol: 4,
      client: { id: "openclaw-control-ui", mode: "webchat", platform: "web" },
      role: "operator",
      caps: ["tool-events"],
      auth: { token: "secret" },
    });
    expect(desk.phase).toEqual({ is: "live" });
    expect(desk.page.selected).toBe(MAIN);
    expect(desk.sent.map((r) => r.method)).toEqual([
      "connect",
      "sessions.subscribe",
      "chat.history",
      "sessions.list",
      "channels.pairing.list",
      "exec.approval.list",
      "status",
    ]);
  });

  it("asks for a token when it is refused, and does not try again by itself", () => {
    const desk = new Desk().tell({ kind: "sign-in", token: "wrong" });
    desk.event("connect.challenge", {});
    const error = {
      code: "INVALID_REQUEST",
      message: "unauthorized: gateway token mismatch",
      details: { code: "AUTH_TOKEN_MISMATCH" },
    };
    desk.answer("connect", error, false).drop("unauthorized", 1008).later(60_000);
    expect(desk.phase).toMatchObject({ is: "refused", wantsToken: true });
    expect(desk.done.filter((d) => d === "open")).toHaveLength(1);
    desk.tell({ kind: "sign-in", token: "right" });
    expect(desk.phase.is).toBe("connecting");
  });

  it("names another protocol version as the reason", () => {
    const desk = new Desk().tell({ kind: "sign-in", token: "x" }).event("connect.challenge", {});
    desk.answer(
      "connect",
      { code: "INVALID_REQUEST", message: "protocol mismatch", details: { code: "PROTOCOL_MISMATCH" } },
      false,
    );
    expect(desk.phase).toMatchObject({ is: "refused", wantsToken: false });
  });

  it("comes back with growing pauses, and soon after a live connection", () => {
    const desk = live().drop();
    const pauses: number[] = [];
    for (let n = 0; n < 4; n++) {
      if (desk.phase.is !== "waiting") throw new Error("not waiting");
      pauses.push(desk.phase.until - desk.now);
      desk.now = desk.phase.until;
      desk.later(0).drop();
    }
    expect(pauses).toEqual([200, 400, 800, 1600]);
    desk.later(60_000).connect();
    expect(desk.page.connection.attempt).toBe(0);
  });

  it("keeps the pause between half and all of its length, at most 30 s", () => {
    for (let attempt = 0; attempt < 40; attempt++) {
      expect(retryDelay(attempt, 0.999)).toBeLessThanOrEqual(30_000);
      expect(retryDelay(attempt, 0)).toBeGreaterThanOrEqual(200);
    }
  });

  it("closes after two silent ticks, not before", () => {
    const desk = live();
    desk.later(59_000);
    expect(desk.done).not.toContain("close");
    desk.event("tick", { ts: 1 }).later(59_000);
    expect(desk.done).not.toContain("close");
    desk.later(2_000);
    expect(desk.page.effects).toContainEqual({ do: "close", code: 4000, reason: "tick timeout" });
  });

  it("gives up a handshake that does not come", () => {
    const desk = new Desk().tell({ kind: "sign-in", token: "x" }).later(16_000);
    expect(desk.done).toContain("close");
  });

  it("asks for the history again after a gap in seq", () => {
    const desk = live();
    const before = desk.count("chat.history");
    desk.event("tick", {}, 1).event("tick", {}, 2);
    expect(desk.count("chat.history")).toBe(before);
    desk.event("tick", {}, 4);
    expect(desk.count("chat.history")).toBe(before + 1);
  });

  it("forgets everything on sign-out", () => {
    const desk = live().tell({ kind: "sign-out" });
    expect(desk.phase.is).toBe("signed-out");
    expect(desk.page.token).toBeNull();
    expect(desk.done).toContain("forget-token");
  });
});

describe("a turn", () => {
  const asked = () => live().tell({ kind: "say", text: "hello", runId: "r1" });

  it("shows what was said at once, then the stream, then the answer", () => {
    const desk = asked();
    expect(desk.last("chat.send").params).toEqual({ sessionKey: MAIN, message: "hello", idempotencyKey: "r1" });
    expect(desk.items).toMatchObject([{ kind: "user", text: "hello", state: "sending" }]);
    desk.answer("chat.send", { runId: "r1", status: "started" });
    expect(desk.items).toMatchObject([{ state: "sent" }]);
    desk.chat("status", { phase: "starting_model" }).delta("Hel").delta("Hello", "lo");
    expect(desk.items.at(-1)).toMatchObject({ kind: "reply", text: "Hello", state: "streaming" });
    desk.chat("final", { message: { role: "assistant", content: [{ type: "text", text: "Hello!" }] } });
    expect(desk.items.at(-1)).toMatchObject({ kind: "reply", text: "Hello!", state: "done" });
    expect(transcriptOf(desk.page).runs).toEqual([]);
    expect(desk.page.spoken).toBe("Hello!");
    expect(desk.count("sessions.list")).toBe(2);
  });

  it("takes an event of the run for the answer to chat.send", () => {
    const desk = asked().chat("final");
    expect(desk.items).toMatchObject([{ kind: "user", state: "sent" }]);
  });

  it("adds deltas where there is no snapshot", () => {
    const desk = asked().chat("delta", { deltaText: "a" }).chat("delta", { deltaText: "b" });
    expect(desk.items.at(-1)).toMatchObject({ text: "ab" });
    desk.chat("delta", { deltaText: "c", replace: true });
    expect(desk.items.at(-1)).toMatchObject({ text: "c" });
  });

  it.each([
    ["the whole run", "First. Then this"],
    ["only the part after the tool", "Then this"],
  ])("puts tools between the words when snapshots hold %s", (_, second) => {
    const desk = asked().delta("First.");
    desk.tool("start", { args: { command: "ls" } });
    expect(desk.items).toMatchObject([
      { kind: "user" },
      { kind: "reply", state: "done" },
      { kind: "tool", state: "running", args: { command: "ls" } },
    ]);
    desk.tool("update", { partialResult: { content: [{ type: "text", text: "a" }] } });
    expect(desk.items.at(-1)).toMatchObject({ output: "a", state: "running" });
    desk.now += 40;
    desk.tool("result", { result: { content: [{ type: "text", text: "a\nb" }] }, isError: false });
    desk
      .delta(second)
      .chat("final", { message: { role: "assistant", content: [{ type: "text", text: `${second}.` }] } });
    expect(desk.items).toMatchObject([
      { kind: "user" },
      { text: "First." },
      { kind: "tool", state: "done", output: "a\nb", args: { command: "ls" } },
      { text: "Then this.", state: "done" },
    ]);
  });

  it("stops on demand", () => {
    const desk = asked().delta("Hel").tool("start").tell({ kind: "stop" });
    expect(desk.last("chat.abort").params).toEqual({ sessionKey: MAIN, runId: "r1" });
    desk.chat("aborted");
    expect(desk.items).toMatchObject([
      { kind: "user" },
      { kind: "reply" },
      { kind: "tool", state: "stopped" },
      { kind: "note", text: "Stopped." },
    ]);
    expect(transcriptOf(desk.page).runs).toEqual([]);
  });

  it("shows why a run failed", () => {
    const desk = asked().chat("error", { errorMessage: "rate limit" });
    expect(desk.items.at(-1)).toMatchObject({ kind: "reply", state: "failed", error: "rate limit" });
  });

  it("keeps a message that was refused, and gives it back for editing", () => {
    const desk = asked().answer("chat.send", { code: "INVALID_REQUEST", message: "too long" }, false);
    expect(desk.items).toMatchObject([{ state: "failed", error: "too long" }]);
    desk.tell({ kind: "withdraw", id: "r1:user" });
    expect(desk.items).toEqual([]);
  });

  it("sends again, with the same key, what the old connection did not confirm", () => {
    const desk = asked().drop().tell({ kind: "say", text: "offline", runId: "r2" }).later(1_000).connect();
    expect(desk.count("chat.send")).toBe(1);
    desk.answer("chat.history", { messages: [{ role: "user", content: "hello", idempotencyKey: "r1:user" }] });
    expect(desk.count("chat.send")).toBe(2);
    expect(desk.last("chat.send").params).toMatchObject({ message: "offline", idempotencyKey: "r2" });
    expect(desk.items).toMatchObject([
      { text: "hello", state: "sent" },
      { text: "offline", state: "sending" },
    ]);
  });

  it("keeps back on Escape what did not go out yet", () => {
    const desk = live().drop().tell({ kind: "say", text: "no", runId: "r3" }).tell({ kind: "stop" });
    expect(desk.items).toMatchObject([{ text: "no", state: "failed" }]);
    desk.later(1_000).connect().answer("chat.history", { messages: [] });
    expect(desk.count("chat.send")).toBe(0);
  });

  it("does not redraw what the history repeats", () => {
    const desk = asked().answer("chat.send", {}).delta("Hi").chat("final");
    const before = desk.items.map((i) => i.id);
    desk.event("tick", {}, 90).answer("chat.history", {
      messages: [
        { role: "user", content: "hello", timestamp: 5, idempotencyKey: "r1:user" },
        {
          role: "assistant",
          content: [{ type: "text", text: "Hi" }],
          stopReason: "stop",
          __openclaw: { id: "x", runId: "r1" },
        },
      ],
    });
    expect(desk.items.map((i) => i.id)).toEqual(before);
  });

  it("keeps a running turn when the history comes in the middle of it", () => {
    const desk = asked().answer("chat.send", {}).delta("Hel").event("tick", {}, 90);
    desk.answer("chat.history", {
      messages: [{ role: "user", content: "hello", idempotencyKey: "r1:user" }],
      inFlightRun: { runId: "r1" },
    });
    desk.delta("Hello");
    expect(desk.items).toMatchObject([{ kind: "user" }, { text: "Hello", state: "streaming" }]);
  });

  it("learns from the history that a run ended while nobody listened", () => {
    const desk = asked().answer("chat.send", {}).drop().later(1_000).connect();
    desk.answer("chat.history", {
      messages: [
        { role: "user", content: "hello", idempotencyKey: "r1:user" },
        { role: "assistant", content: [{ type: "text", text: "Hi" }], stopReason: "stop", __openclaw: { runId: "r1" } },
      ],
    });
    expect(transcriptOf(desk.page).runs).toEqual([]);
    expect(desk.items).toMatchObject([{ kind: "user" }, { text: "Hi", state: "done" }]);
  });
});

describe("history", () => {
  it("reads tool calls and results, as messages and as blocks", () => {
    const desk = live()
      .tell({ kind: "older" })
      .answer("chat.history", {
        hasMore: true,
        messages: [
          { role: "user", content: "go", timestamp: 1 },
          {
            role: "assistant",
            content: [
              { type: "text", text: "ok" },
              { type: "toolCall", id: "a", name: "exec", arguments: { command: "ls" } },
            ],
            timestamp: 2,
          },
          {
            role: "toolResult",
            toolCallId: "a",
            toolName: "exec",
            content: [{ type: "text", text: "out" }],
            timestamp: 5,
          },
          {
            role: "assistant",
            content: [
              { type: "toolCall", id: "b", name: "read" },
              { type: "toolResult", toolCallId: "b", isError: true, content: "no" },
            ],
          },
          { role: "assistant", content: [{ type: "toolCall", id: "c", name: "cut" }] },
          { role: "system", content: "compacted" },
        ],
      });
    expect(desk.items).toMatchObject([
      { kind: "user", text: "go" },
      { kind: "reply", text: "ok" },
      { kind: "tool", id: "a", output: "out", state: "done", at: 2, endedAt: 5 },
      { kind: "tool", id: "b", output: "no", state: "failed" },
      { kind: "tool", id: "c", state: "stopped" },
      { kind: "note", text: "compacted" },
    ]);
    expect(desk.last("chat.history").params).toEqual({ sessionKey: MAIN, limit: 400 });
    expect(transcriptOf(desk.page).hasMore).toBe(true);
  });

  it("begins a conversation that the gateway does not know yet", () => {
    const desk = live().tell({ kind: "select", key: "agent:main:web:1" });
    desk.answer("chat.history", { code: "INVALID_REQUEST", message: "No session found" }, false);
    expect(transcriptOf(desk.page)).toMatchObject({ loaded: true, items: [] });
    expect(desk.page.trouble).toBeNull();
  });

  it("fetches what another client said to begin a run", () => {
    const desk = live();
    const before = desk.count("chat.history");
    desk.chat("delta", { deltaText: "x" }, "theirs");
    expect(desk.count("chat.history")).toBe(before + 1);
    desk.chat("delta", { deltaText: "y" }, "theirs");
    expect(desk.count("chat.history")).toBe(before + 1);
  });
});

describe("conversations", () => {
  it("marks news elsewhere until they are looked at", () => {
    const desk = live().chat("final", {}, "r9", OTHER);
    desk.answer("sessions.list", {
      sessions: [
        { key: MAIN, updatedAt: 1 },
        { key: OTHER, updatedAt: 2 },
      ],
    });
    expect([...desk.page.sessions.unseen]).toEqual([OTHER]);
    expect(desk.page.sessions.rows.map((r) => r.key)).toEqual([OTHER, MAIN]);
    desk.tell({ kind: "select", key: OTHER });
    expect(desk.page.sessions.unseen.size).toBe(0);
    expect(desk.last("chat.history").params).toMatchObject({ sessionKey: OTHER });
  });

  it("asks for the list once, however many changes come", () => {
    const desk = live();
    const before = desk.count("sessions.list");
    for (let n = 0; n < 5; n++) desk.event("sessions.changed", { sessionKey: OTHER });
    expect(desk.count("sessions.list")).toBe(before + 1);
  });

  it("forgets a run that the gateway says is over", () => {
    const desk = live().tell({ kind: "say", text: "x", runId: "r1" }).answer("chat.send", {});
    desk.now += 10;
    desk
      .event("sessions.changed", {})
      .answer("sessions.list", { sessions: [{ key: MAIN, updatedAt: 3, hasActiveRun: false }] });
    expect(transcriptOf(desk.page).runs).toEqual([]);
  });
});

describe("pairing and processes", () => {
  const request = { channel: "telegram", code: "AB", senderId: "42" };

  it("lists, approves, dismisses", () => {
    const desk = live()
      .event("channels.pairing.changed", {})
      .answer("channels.pairing.list", { requests: [request] });
    expect(desk.page.pairing).toEqual([request]);
    desk.tell({ kind: "pairing", verdict: "approve", request });
    expect(desk.last("channels.pairing.approve").params).toEqual({ channel: "telegram", code: "AB" });
    expect(desk.page.pairing).toEqual([]);
    desk.tell({ kind: "pairing", verdict: "dismiss", request });
    desk.answer("channels.pairing.dismiss", { code: "INVALID_REQUEST", message: "no such code" }, false);
    expect(desk.page.trouble).toBe("no such code");
  });

  it("asks before a command runs, until it is answered or too late", () => {
    const approval = (id: string, expiresAtMs: number) => ({ id, request: { command: "rm -r x" }, expiresAtMs });
    const desk = live().answer("exec.approval.list", [approval("a", 2_000_000)]);
    desk
      .event("exec.approval.requested", approval("b", 2_000_000))
      .event("exec.approval.requested", approval("c", 1_005_000));
    desk.tell({ kind: "decide", id: "a", decision: "deny" });
    expect(desk.last("exec.approval.resolve").params).toEqual({ id: "a", decision: "deny" });
    desk.event("exec.approval.resolved", { id: "b", decision: "allow-once" });
    expect(desk.page.approvals.map((a) => a.id)).toEqual(["c"]);
    desk.later(6_000);
    expect(desk.page.approvals).toEqual([]);
  });

  it("does not pretend to answer while the gateway is away", () => {
    const desk = live()
      .answer("channels.pairing.list", { requests: [request] })
      .drop();
    desk.tell({ kind: "pairing", verdict: "approve", request });
    expect(desk.page.pairing).toEqual([request]);
    expect(desk.page.trouble).toMatch(/Not connected/);
  });

  it("shows the processes, and nothing where the gateway has none to show", () => {
    const unit = { name: "gateway", kind: "gateway", state: "running" };
    expect(live().answer("status", { units: [unit] }).page.units).toEqual([unit]);
    expect(live().answer("status", { heartbeat: {} }).page.units).toEqual([]);
  });
});
