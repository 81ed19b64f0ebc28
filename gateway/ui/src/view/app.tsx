// The whole page from the whole state. What only the eye needs (drafts, open dialogs, the drawer) lives here.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { type Command, commandOf, isTyping, MODIFIER } from "../keyboard";
import { type Input, type Page, transcriptOf } from "../page";
import { neighbour, titleOf } from "../session-list";
import * as token from "../token";
import type { Said } from "../transcript";
import { Approvals } from "./approvals";
import { Composer } from "./composer";
import { Conversation } from "./conversation";
import { Help, Switcher } from "./dialogs";
import { Icon } from "./icons";
import { Sidebar } from "./sidebar";
import { TokenForm } from "./token-form";

export interface AppProps {
  page: Page;
  tell: (input: Input) => void;
}

export function App({ page, tell }: AppProps) {
  const { phase } = page.connection;
  if (phase.is === "signed-out" || phase.is === "refused") {
    const onToken = (given: string, beyondThisTab: boolean) => {
      token.keep(given, beyondThisTab);
      tell({ kind: "sign-in", token: given });
    };
    return <TokenForm phase={phase} onToken={onToken} onRetry={() => tell({ kind: "retry" })} />;
  }
  return <Desk page={page} tell={tell} />;
}

function Desk({ page, tell }: AppProps) {
  const [dialog, setDialog] = useState<"switcher" | "help" | null>(null);
  const [drawer, setDrawer] = useState(false);
  const [drafts, setDrafts] = useState<Readonly<Record<string, string>>>({});
  const field = useRef<HTMLTextAreaElement>(null);
  const now = useNow();

  const key = page.selected ?? "";
  const transcript = transcriptOf(page);
  const draft = drafts[key] ?? "";
  const rows = new Map(page.sessions.rows.map((r) => [r.key, r]));
  const row = rows.get(key);
  const nameOf = (k: string) => titleOf(rows.get(k), k, firstWords(page, k));
  const running = new Set(Object.entries(page.transcripts).flatMap(([k, t]) => (t.runs.length ? [k] : [])));

  const setDraft = (text: string) => setDrafts((all) => ({ ...all, [key]: text }));
  /** The browser tells about a close a moment later; another dialog may be open by then. */
  const closed = (which: typeof dialog) => setDialog((open) => (open === which ? null : open));
  const compose = () => field.current?.focus();
  /** On a touch screen the focus would bring up the keyboard unasked. */
  const settle = () => matchMedia("(hover: hover)").matches && compose();
  const select = (next: string | null) => {
    if (next !== null) tell({ kind: "select", key: next });
    setDrawer(false);
    settle();
  };
  const begin = () => select(`agent:${page.gateway?.agentId ?? "main"}:web:${token.freshId().slice(0, 12)}`);
  const send = () => {
    if (draft.trim() === "" || key === "") return;
    tell({ kind: "say", text: draft.trim(), runId: token.freshId() });
    setDraft("");
    compose();
  };

  const obey: Record<Command, () => void> = {
    compose,
    switch: () => setDialog("switcher"),
    help: () => setDialog("help"),
    previous: () => select(neighbour(page.sessions, page.selected, -1)),
    next: () => select(neighbour(page.sessions, page.selected, 1)),
    new: begin,
    escape: () => (drawer ? setDrawer(false) : tell({ kind: "stop" })),
  };
  useEffect(() => void settle(), []);

  useEffect(() => {
    if (drawer) document.querySelector<HTMLElement>(".session[aria-current]")?.focus();
  }, [drawer]);

  const latest = useRef(obey);
  latest.current = obey;
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (document.querySelector("dialog[open]")) return;
      const command = commandOf(event, isTyping(event.target));
      if (!command) return;
      event.preventDefault();
      latest.current[command]();
    };
    addEventListener("keydown", onKeyDown);
    return () => removeEventListener("keydown", onKeyDown);
  }, []);

  useEffect(() => token.showSession(page.selected), [page.selected]);
  const title = nameOf(key);
  const news = page.sessions.unseen.size;
  useEffect(() => {
    document.title = `${news ? `(${news}) ` : ""}${title ? `${title} · ` : ""}Creel`;
  }, [title, news]);

  const live = useRef({ tell, setDraft, compose });
  live.current = { tell, setDraft, compose };
  const onWithdraw = useCallback((said: Said) => {
    live.current.tell({ kind: "withdraw", id: said.id });
    live.current.setDraft(said.text);
    live.current.compose();
  }, []);

  return (
    <div class={drawer ? "desk drawer-open" : "desk"}>
      <aside class="side" aria-label="Side">
        <Sidebar
          phase={page.connection.phase}
          version={page.gateway?.version}
          now={now}
          sessions={page.sessions}
          selected={page.selected}
          nameOf={nameOf}
          running={running}
          pairing={page.pairing}
          units={page.units}
          onSelect={select}
          onNew={begin}
          onRetry={() => tell({ kind: "retry" })}
          onSignOut={() => tell({ kind: "sign-out" })}
          onVerdict={(verdict, request) => tell({ kind: "pairing", verdict, request })}
        />
      </aside>
      <button type="button" class="scrim" tabIndex={-1} aria-hidden="true" onClick={() => setDrawer(false)} />
      <main class="main">
        <header class="bar">
          <button
            type="button"
            class="ghost menu"
            onClick={() => setDrawer(!drawer)}
            aria-label="Conversations"
            aria-expanded={drawer}
          >
            <Icon name="menu" />
            {(news > 0 || page.pairing.length > 0) && <span class="unseen" role="img" aria-label="Something new" />}
          </button>
          <h2>{title}</h2>
          {row?.model && <span class="origin">{row.model}</span>}
          <button
            type="button"
            class="ghost finder-key"
            onClick={() => setDialog("switcher")}
            aria-label="Find a conversation"
            title="Find a conversation"
          >
            <kbd>{MODIFIER}</kbd> <kbd>K</kbd>
          </button>
        </header>
        {page.trouble && (
          <p class="failure trouble" role="alert">
            {page.trouble}
            <button type="button" class="ghost small" onClick={() => tell({ kind: "quiet" })} aria-label="Dismiss">
              <Icon name="close" />
            </button>
          </p>
        )}
        <Conversation
          sessionKey={key}
          transcript={transcript}
          onWithdraw={onWithdraw}
          onOlder={() => tell({ kind: "older" })}
          onSuggest={(text) => {
            setDraft(text);
            compose();
          }}
        />
        <Approvals
          approvals={page.approvals}
          now={now}
          onDecide={(id, decision) => tell({ kind: "decide", id, decision })}
        />
        <Composer
          field={field}
          draft={draft}
          running={transcript.runs.length > 0}
          offline={page.connection.phase.is !== "live"}
          onDraft={setDraft}
          onSend={send}
          onStop={() => tell({ kind: "stop" })}
        />
      </main>
      <div class="unseen-text" aria-live="polite" id="spoken">
        {page.spoken}
      </div>
      {dialog === "switcher" && (
        <Switcher
          sessions={page.sessions}
          selected={page.selected}
          nameOf={nameOf}
          onSelect={select}
          onClose={() => closed("switcher")}
        />
      )}
      {dialog === "help" && <Help onClose={() => closed("help")} />}
    </div>
  );
}

function firstWords(page: Page, key: string): string {
  const said = page.transcripts[key]?.items.find((i) => i.kind === "user");
  return said?.kind === "user" ? said.text.replace(/\s+/g, " ").slice(0, 80) : "";
}

/** The time, once a second: for the countdown and for "3 min". */
function useNow(): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  return now;
}
