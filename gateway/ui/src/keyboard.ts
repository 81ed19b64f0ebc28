// Every shortcut of the page, once: the listener and the `?` dialog read the same table.

export type Command = "compose" | "switch" | "escape" | "previous" | "next" | "new" | "help";

export interface Shortcut {
  command: Command;
  keys: string[];
  what: string;
}

export const MODIFIER = /Mac|iP/.test(globalThis.navigator?.platform ?? "") ? "⌘" : "Ctrl";

export const SHORTCUTS: Shortcut[] = [
  { command: "compose", keys: ["/"], what: "Write a message" },
  { command: "switch", keys: [MODIFIER, "K"], what: "Find a conversation" },
  { command: "previous", keys: ["Alt", "↑"], what: "Conversation above" },
  { command: "next", keys: ["Alt", "↓"], what: "Conversation below" },
  { command: "new", keys: ["Alt", "N"], what: "New conversation" },
  { command: "escape", keys: ["Esc"], what: "Stop the run, or close what is open" },
  { command: "help", keys: ["?"], what: "Show these keys" },
];

type Keystroke = Pick<KeyboardEvent, "key" | "code" | "ctrlKey" | "metaKey" | "altKey" | "isComposing">;

/** The command that a keystroke asks for; plain keys mean nothing while `typing`. */
export function commandOf(stroke: Keystroke, typing: boolean): Command | null {
  const { key, code, ctrlKey, metaKey, altKey } = stroke;
  if (stroke.isComposing) return null;
  if ((ctrlKey || metaKey) && !altKey) return key.toLowerCase() === "k" ? "switch" : null;
  if (altKey) return key === "ArrowUp" ? "previous" : key === "ArrowDown" ? "next" : code === "KeyN" ? "new" : null;
  if (key === "Escape") return "escape";
  if (typing) return null;
  return key === "/" ? "compose" : key === "?" ? "help" : null;
}

export function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}
