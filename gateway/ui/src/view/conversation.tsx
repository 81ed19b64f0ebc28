// The open conversation: its items, a sign of life while a run goes on, and the place where one writes.

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Item, Run, Said, Transcript } from "../transcript";
import { Icon, Mark } from "./icons";
import { ItemView } from "./items";

export interface ConversationProps {
  sessionKey: string;
  transcript: Transcript;
  onWithdraw: (said: Said) => void;
  onOlder: () => void;
  onSuggest: (text: string) => void;
}

const SUGGESTIONS = ["What can you do here?", "Which tools do you have?", "Remind me of something every morning"];

export function Conversation({ sessionKey, transcript, onWithdraw, onOlder, onSuggest }: ConversationProps) {
  const { items, runs, loaded, hasMore } = transcript;
  const { frame, column, away, toEnd } = useFollowing(
    sessionKey,
    items.at(-1)?.kind === "user" ? items.at(-1)?.id : undefined,
  );
  const empty = loaded && items.length === 0 && runs.length === 0;
  return (
    <div class="scroll" ref={frame} tabIndex={-1}>
      <div class="column" ref={column} role="log" aria-live="off" aria-label="Conversation" aria-busy={!loaded}>
        {hasMore && (
          <button type="button" class="link older" onClick={onOlder}>
            Show earlier messages
          </button>
        )}
        {!loaded && items.length === 0 && <div class="skeleton" aria-hidden="true" />}
        {empty && (
          <div class="welcome">
            <Mark />
            <h2>What shall we do?</h2>
            <p>Write a message, or begin with one of these.</p>
            <ul>
              {SUGGESTIONS.map((text) => (
                <li>
                  <button type="button" onClick={() => onSuggest(text)}>
                    {text}
                  </button>
                </li>
              ))}
            </ul>
          </div>
        )}
        {items.map((item, n) => (
          <ItemView key={item.id} item={item} goesOn={goesOn(items[n + 1])} onWithdraw={onWithdraw} />
        ))}
        {isThinking(transcript) && <Thinking run={runs[0]} />}
      </div>
      {away && (
        <button type="button" class="to-end" onClick={toEnd} aria-label="Go to the newest message">
          <Icon name="down" />
        </button>
      )}
    </div>
  );
}

const goesOn = (below: Item | undefined) => below?.kind === "reply" || below?.kind === "tool";

/** A run goes on at the gateway and nothing on the page moves by itself. */
function isThinking({ items, runs }: Transcript): boolean {
  return (
    runs.some((r) => r.accepted) &&
    !items.some((i) => (i.kind === "reply" && i.state === "streaming") || (i.kind === "tool" && i.state === "running"))
  );
}

const PHASES: Record<string, string> = {
  preparing_workspace: "Preparing the workspace",
  running_setup: "Running the setup",
  preparing_context: "Reading the context",
  starting_model: "Thinking",
};

function Thinking({ run }: { run: Run | undefined }) {
  return (
    <p class="thinking">
      <span class="dots" aria-hidden="true">
        <i />
        <i />
        <i />
      </span>
      {(run?.phase && PHASES[run.phase]) ?? "Thinking"}
    </p>
  );
}

/** Keeps the end in view as text grows, until the reader scrolls up; `ownId` (a message just sent) brings it back. */
function useFollowing(sessionKey: string, ownId: string | undefined) {
  const frame = useRef<HTMLDivElement>(null);
  const column = useRef<HTMLDivElement>(null);
  const following = useRef(true);
  const [away, setAway] = useState(false);

  const toEnd = () => {
    following.current = true;
    setAway(false);
    frame.current?.scrollTo({ top: frame.current.scrollHeight });
  };

  useLayoutEffect(toEnd, [sessionKey, ownId]);
  useEffect(() => {
    const box = frame.current;
    const inner = column.current;
    if (!box || !inner) return;
    let last = box.scrollTop;
    const onScroll = () => {
      const left = box.scrollHeight - box.clientHeight - box.scrollTop;
      if (left < 24) following.current = true;
      else if (box.scrollTop < last - 1) following.current = false;
      last = box.scrollTop;
      setAway(!following.current && left > 80);
    };
    const observer = new ResizeObserver(() => {
      if (following.current) box.scrollTop = box.scrollHeight;
    });
    observer.observe(inner);
    observer.observe(box);
    box.addEventListener("scroll", onScroll, { passive: true });
    return () => {
      observer.disconnect();
      box.removeEventListener("scroll", onScroll);
    };
  }, []);
  return { frame, column, away, toEnd };
}
