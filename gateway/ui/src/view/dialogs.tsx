// What opens above the page: the conversation finder and the list of keys. The browser's own <dialog> holds the focus.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { SHORTCUTS } from "../keyboard";
import { keysOf, originOf, type SessionList } from "../session-list";
import { Icon } from "./icons";

function Dialog({ label, onClose, children }: { label: string; onClose: () => void; children: ComponentChildren }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    dialog.current?.showModal();
    return () => before instanceof HTMLElement && before.focus();
  }, []);
  return (
    <dialog
      ref={dialog}
      aria-label={label}
      onClose={onClose}
      onClick={(event) => event.target === event.currentTarget && event.currentTarget.close()}
    >
      {children}
    </dialog>
  );
}

export interface SwitcherProps {
  sessions: SessionList;
  selected: string | null;
  nameOf: (key: string) => string;
  onSelect: (key: string) => void;
  onClose: () => void;
}

export function Switcher({ sessions, selected, nameOf, onSelect, onClose }: SwitcherProps) {
  const [query, setQuery] = useState("");
  const [at, setAt] = useState(0);
  const rows = new Map(sessions.rows.map((r) => [r.key, r]));
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const found = keysOf(sessions, selected).filter((key) => {
    const text = `${nameOf(key)} ${originOf(rows.get(key), key)} ${key}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  const chosen = found[Math.min(at, found.length - 1)];

  const choose = (key: string | undefined) => {
    if (key === undefined) return;
    onClose();
    onSelect(key);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const move = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (move && found.length) setAt((at + move + found.length) % found.length);
    else if (event.key === "Enter") choose(chosen);
    else return;
    event.preventDefault();
  };

  useEffect(() => document.getElementById("chosen")?.scrollIntoView({ block: "nearest" }), [chosen]);

  return (
    <Dialog label="Find a conversation" onClose={onClose}>
      <input
        type="text"
        class="finder"
        placeholder="Find a conversation"
        role="combobox"
        aria-label="Find a conversation"
        aria-expanded="true"
        aria-controls="found"
        aria-activedescendant={chosen ? "chosen" : undefined}
        autocomplete="off"
        spellcheck={false}
        value={query}
        onInput={(event) => {
          setQuery(event.currentTarget.value);
          setAt(0);
        }}
        onKeyDown={onKeyDown}
        autofocus
      />
      <ul id="found" class="found" role="listbox" aria-label="Conversations">
        {found.map((key) => (
          <li
            key={key}
            id={key === chosen ? "chosen" : undefined}
            role="option"
            aria-selected={key === chosen}
            onClick={() => choose(key)}
          >
            <span>{nameOf(key)}</span>
            <span class="origin">{originOf(rows.get(key), key)}</span>
          </li>
        ))}
      </ul>
      {found.length === 0 && <p class="note">No conversation has these words.</p>}
    </Dialog>
  );
}

export function Help({ onClose }: { onClose: () => void }) {
  return (
    <Dialog label="Keys" onClose={onClose}>
      <header>
        <h2>Keys</h2>
        <form method="dialog">
          <button type="submit" class="ghost" aria-label="Close">
            <Icon name="close" />
          </button>
        </form>
      </header>
      <dl class="keys">
        {SHORTCUTS.map(({ keys, what }) => (
          <div key={what}>
            <dt>
              {keys.map((key) => (
                <kbd>{key}</kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
        <div>
          <dt>
            <kbd>Shift</kbd>
            <kbd>Enter</kbd>
          </dt>
          <dd>New line in a message</dd>
        </div>
      </dl>
    </Dialog>
  );
}
