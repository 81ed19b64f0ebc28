// A stand-in for the gateway, only for working on the page: serves gateway/ui/dist and plays a scripted agent.
// The test of record (page.test.mjs) runs against a real Creel.   node fake-gateway.mjs [port]

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { WebSocketServer } from "ws";

export const TOKEN = "development-token";
const DIST = fileURLToPath(new URL("../../../gateway/ui/dist/", import.meta.url));
const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
};
const MAIN = "agent:main:main";

const REPLY = `The build is green. What I found:

1. **Three** crates changed since yesterday, all in \`supervisor/\`.
2. The slowest test is \`restart_storm\` at *1.8 s*.

\`\`\`rust
fn backoff(attempt: u32) -> Duration {
    Duration::from_millis(50 << attempt.min(6))
}
\`\`\`

| unit | restarts | state |
|---|---|---|
| gateway | 0 | running |
| channel:telegram:default | 2 | running |

> Nothing was lost: the outbox is empty.

See [the notes](https://example.org/notes) – and <script>alert(1)</script> stays text.`;

export async function startFake(port = 0) {
  const transcripts = new Map();
  const sockets = new Set();
  const running = new Map();
  const started = Date.now();
  let pairing = [
    {
      channel: "telegram",
      accountId: "default",
      code: "K7QX-2M4P",
      senderId: "481516",
      senderName: "Ada Lovelace",
      createdAtMs: started,
      expiresAtMs: started + 55 * 60_000,
    },
  ];
  let approvals = [];
  const rows = [
    { key: MAIN, kind: "direct", agentId: "main", updatedAt: started - 60_000, model: "fake-1" },
    {
      key: "agent:main:telegram:direct:481516",
      kind: "direct",
      agentId: "main",
      channel: "telegram",
      displayName: "Grace Hopper",
      updatedAt: started - 9 * 60_000,
      model: "fake-1",
    },
    {
      key: "agent:research:main",
      kind: "direct",
      agentId: "research",
      updatedAt: started - 3 * 3_600_000,
      model: "fake-1",
    },
    {
      key: "agent:main:discord:channel:general",
      kind: "group",
      agentId: "main",
      channel: "discord",
      displayName: "#general in a server with a long name",
      updatedAt: started - 2 * 86_400_000,
    },
  ];

  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, "http://fake");
    const path = join(DIST, normalize(pathname === "/" ? "/index.html" : pathname));
    try {
      const body = await readFile(path);
      response.writeHead(200, {
        "content-type": TYPES[extname(path)] ?? "application/octet-stream",
        "content-security-policy":
          "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; object-src 'none'",
        "x-content-type-options": "nosniff",
      });
      response.end(body);
    } catch {
      response.writeHead(404).end("not found");
    }
  });

  const everyone = (event, payload) => sockets.forEach((s) => s.emitEvent(event, payload));
  const messagesOf = (key) => transcripts.get(key) ?? transcripts.set(key, []).get(key);
  const touch = (key) => {
    const row =
      rows.find((r) => r.key === key) ?? rows[rows.push({ key, kind: "direct", agentId: "main", model: "fake-1" }) - 1];
    row.updatedAt = Date.now();
    everyone("sessions.changed", { sessionKey: key, ts: Date.now() });
  };

  async function play(key, runId, prompt) {
    const run = { stopped: false };
    running.set(runId, run);
    let seq = 0;
    const chat = (more) => everyone("chat", { runId, sessionKey: key, agentId: "main", seq: ++seq, ...more });
    const agent = (stream, data) =>
      everyone("agent", { runId, sessionKey: key, agentId: "main", seq: ++seq, ts: Date.now(), stream, data });
    const pause = (ms) => new Promise((done) => setTimeout(done, ms));
    const history = messagesOf(key);
    const timestamp = () => Date.now();
    const meta = { runId };

    history.push({
      role: "user",
      content: prompt,
      timestamp: timestamp(),
      idempotencyKey: `${runId}:user`,
      __openclaw: { id: `${runId}:user` },
    });
    agent("lifecycle", { phase: "start", startedAt: Date.now() });
    chat({ state: "status", phase: "starting_model" });
    await pause(150);

    let said = "";
    const speak = async (text, ms) => {
      for (const word of text.split(/(?<=\s)/)) {
        if (run.stopped) return;
        said += word;
        chat({
          state: "delta",
          deltaText: word,
          message: { role: "assistant", content: [{ type: "text", text: said }] },
        });
        await pause(ms);
      }
    };
    const tool = async (name, args, output, ms, isError = false) => {
      if (run.stopped) return;
      const toolCallId = `call-${runId}-${seq}`;
      history.push({
        role: "assistant",
        content: [
          ...(said ? [{ type: "text", text: said }] : []),
          { type: "toolCall", id: toolCallId, name, arguments: args },
        ],
        timestamp: timestamp(),
        stopReason: "toolUse",
        __openclaw: meta,
      });
      said = "";
      agent("tool", { phase: "start", name, toolCallId, args });
      for (const part of [0.3, 0.6]) {
        await pause(ms / 3);
        agent("tool", { phase: "update", name, toolCallId, partialResult: output.slice(0, output.length * part) });
      }
      await pause(ms / 3);
      agent("tool", {
        phase: "result",
        name,
        toolCallId,
        isError,
        result: { content: [{ type: "text", text: output }] },
      });
      history.push({
        role: "toolResult",
        toolCallId,
        toolName: name,
        content: [{ type: "text", text: output }],
        isError,
        timestamp: timestamp(),
      });
    };

    if (prompt.includes("fail")) {
      chat({
        state: "error",
        errorMessage: "The model provider answered 429 (rate limit) three times; next try is up to you.",
      });
      return running.delete(runId);
    }
    await speak("Let me look at the build first. ", 25);
    await tool(
      "exec",
      { command: "cargo nextest run -p creel-supervisor" },
      "    Starting 42 tests across 3 binaries\n        PASS [   0.012s] unit::backoff doubles\n        PASS [   1.804s] unit::restart_storm\n     Summary [   1.911s] 42 tests run: 42 passed",
      prompt.includes("slow") ? 9000 : 400,
    );
    await tool(
      "read",
      { path: "supervisor/src/unit/backoff.rs" },
      "No such file: supervisor/src/unit/backoff.rs",
      60,
      true,
    );
    await speak(prompt.includes("long") ? `${REPLY}\n\n`.repeat(6) : REPLY, prompt.includes("slow") ? 120 : 8);
    history.push({
      role: "assistant",
      content: [{ type: "text", text: said }],
      timestamp: timestamp(),
      stopReason: run.stopped ? "aborted" : "stop",
      __openclaw: meta,
    });
    const message = { role: "assistant", content: [{ type: "text", text: said }], timestamp: timestamp() };
    chat(run.stopped ? { state: "aborted", message } : { state: "final", message, stopReason: "stop" });
    agent("lifecycle", { phase: "end" });
    running.delete(runId);
    touch(key);
  }

  const methods = {
    "sessions.subscribe": () => ({ subscribed: true }),
    "sessions.list": () => ({ ts: Date.now(), count: rows.length, sessions: rows }),
    "chat.history": ({ sessionKey }) => ({ sessionKey, messages: messagesOf(sessionKey), hasMore: false }),
    "chat.send": ({ sessionKey, message, idempotencyKey }) => {
      setTimeout(() => play(sessionKey, idempotencyKey, message), 30);
      return { runId: idempotencyKey, status: "started" };
    },
    "chat.abort": ({ runId }) => {
      const run = running.get(runId);
      if (run) run.stopped = true;
      return { ok: true, aborted: Boolean(run), runIds: run ? [runId] : [] };
    },
    "exec.approval.list": () => approvals,
    "exec.approval.resolve": ({ id, decision }) => {
      approvals = approvals.filter((a) => a.id !== id);
      everyone("exec.approval.resolved", { id, decision, ts: Date.now() });
      return { ok: true };
    },
    "channels.pairing.list": () => ({ requests: pairing }),
    "channels.pairing.approve": ({ code }) => settle(code),
    "channels.pairing.dismiss": ({ code }) => settle(code),
    status: () => ({
      units: ["gateway", "egress", "agent:main", "agent:research", "channel:telegram:default"].map((name, n) => ({
        name,
        kind: name.split(":")[0],
        state: n === 3 ? "backoff" : "running",
        pid: 4000 + n,
        restarts: n === 3 ? 2 : 0,
        uptimeMs: Date.now() - started + 5_400_000,
        isolation: { level: n < 2 ? "L2" : "L3" },
      })),
    }),
  };
  const settle = (code) => {
    pairing = pairing.filter((r) => r.code !== code);
    everyone("channels.pairing.changed", {});
    return { ok: true };
  };

  new WebSocketServer({ server }).on("connection", (socket) => {
    let seq = 0;
    const put = (frame) => socket.send(JSON.stringify(frame));
    socket.emitEvent = (event, payload) => put({ type: "event", event, payload, seq: ++seq });
    put({ type: "event", event: "connect.challenge", payload: { nonce: "fake", ts: Date.now() } });
    socket.on("message", (data) => {
      const { id, method, params } = JSON.parse(data);
      const fail = (code, message, details) => put({ type: "res", id, ok: false, error: { code, message, details } });
      if (method === "connect") {
        if (params.auth?.token !== TOKEN) {
          fail("INVALID_REQUEST", "unauthorized: gateway token mismatch (provide gateway auth token)", {
            code: "AUTH_TOKEN_MISMATCH",
          });
          return socket.close(1008, "unauthorized");
        }
        put({
          type: "res",
          id,
          ok: true,
          payload: {
            type: "hello-ok",
            protocol: 4,
            server: { version: "0.1.0", connId: "fake" },
            snapshot: { sessionDefaults: { defaultAgentId: "main", mainKey: "main", mainSessionKey: MAIN } },
            policy: { tickIntervalMs: 30_000 },
          },
        });
        return sockets.add(socket);
      }
      const answer = methods[method];
      if (!answer) return fail("INVALID_REQUEST", `unknown method: ${method}`);
      put({ type: "res", id, ok: true, payload: answer(params ?? {}) });
    });
    socket.on("close", () => sockets.delete(socket));
  });

  await new Promise((ready) => server.listen(port, "127.0.0.1", ready));
  return {
    url: `http://127.0.0.1:${server.address().port}/#token=${TOKEN}`,
    dropAll: () => sockets.forEach((s) => s.terminate()),
    askApproval: () => {
      const approval = {
        id: `ap-${Date.now()}`,
        request: { command: "git push --force origin main", cwd: "/home/ada/creel", agentId: "main", sessionKey: MAIN },
        createdAtMs: Date.now(),
        expiresAtMs: Date.now() + 90_000,
      };
      approvals.push(approval);
      everyone("exec.approval.requested", approval);
    },
    speakElsewhere: () => play("agent:main:telegram:direct:481516", `tg-${Date.now()}`, "Are you there?"),
    close: () => {
      sockets.forEach((s) => s.terminate());
      return new Promise((done) => server.close(done));
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const fake = await startFake(Number(process.argv[2] ?? 0));
  process.stdout.write(`${fake.url}\n`);
}
