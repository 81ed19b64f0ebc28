// The edge: one WebSocket, one clock, and the loop that feeds page.ts and carries out its effects.

import { type Effect, type Input, type Page, step } from "./page";
import * as token from "./token";
import { readFrame } from "./wire";

export interface Desk {
  page: () => Page;
  tell: (input: Input) => void;
}

export function openDesk(first: Page, changed: (page: Page) => void): Desk {
  let page = first;
  let socket: WebSocket | null = null;

  const tell = (input: Input) => {
    const before = page;
    page = step(page, input, Date.now());
    const { effects } = page;
    if (page !== before) changed(page);
    effects.forEach(perform);
  };

  const connect = () => {
    const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/`;
    const mine = new WebSocket(url);
    socket = mine;
    mine.onmessage = ({ data }) => {
      const frame = mine === socket && typeof data === "string" ? readFrame(data) : null;
      if (frame) tell({ kind: "frame", frame });
    };
    mine.onclose = ({ code, reason }) => closed(mine, code, reason);
  };

  const closed = (which: WebSocket, code: number, reason: string) => {
    if (which !== socket) return;
    socket = null;
    tell({ kind: "closed", code, reason, random: Math.random() });
  };

  const perform = (effect: Effect) => {
    switch (effect.do) {
      case "open": {
        const old = socket;
        socket = null;
        old?.close();
        return connect();
      }
      case "close": {
        const old = socket;
        old?.close(effect.code, effect.reason);
        // A dead peer never answers the close; do not wait for it.
        if (old) closed(old, effect.code, effect.reason);
        return;
      }
      case "send":
        if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(effect.frame));
        return;
      case "forget-token":
        return token.forget();
    }
  };

  setInterval(() => tell({ kind: "clock" }), 1_000);
  addEventListener("online", () => tell({ kind: "retry" }));
  addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible" && page.connection.phase.is === "waiting") tell({ kind: "retry" });
  });
  return { page: () => page, tell };
}
