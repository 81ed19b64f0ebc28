// Where one writes. Enter sends, Shift+Enter begins a new line; each conversation keeps its own draft.

import type { RefObject } from "preact";
import { useLayoutEffect } from "preact/hooks";
import { Icon } from "./icons";

export interface ComposerProps {
  field: RefObject<HTMLTextAreaElement | null>;
  draft: string;
  running: boolean;
  offline: boolean;
  onDraft: (text: string) => void;
  onSend: () => void;
  onStop: () => void;
}

export function Composer({ field, draft, running, offline, onDraft, onSend, onStop }: ComposerProps) {
  useLayoutEffect(() => {
    const box = field.current;
    if (!box) return;
    box.style.height = "auto";
    box.style.height = `${box.scrollHeight}px`;
  }, [draft, field]);

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    onSend();
  };

  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        onSend();
      }}
    >
      <div class="field">
        <textarea
          ref={field}
          rows={1}
          value={draft}
          placeholder="Write a message"
          aria-label="Message"
          aria-keyshortcuts="/"
          enterkeyhint="send"
          onInput={(event) => onDraft(event.currentTarget.value)}
          onKeyDown={onKeyDown}
        />
        {running && (
          <button
            type="button"
            class="round stop"
            onClick={onStop}
            aria-label="Stop"
            title="Stop (Esc)"
            aria-keyshortcuts="Escape"
          >
            <Icon name="stop" />
          </button>
        )}
        {(!running || draft.trim() !== "") && (
          <button type="submit" class="round" disabled={draft.trim() === ""} aria-label="Send" title="Send (Enter)">
            <Icon name="send" />
          </button>
        )}
      </div>
      <p class="hint">
        {offline ? (
          "Not connected: what you send now goes out when the gateway is back."
        ) : (
          <>
            <kbd>Enter</kbd> sends · <kbd>Shift</kbd> <kbd>Enter</kbd> new line · <kbd>?</kbd> all keys
          </>
        )}
      </p>
    </form>
  );
}
