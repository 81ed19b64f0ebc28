import { describe, expect, it } from "vitest";
import { commandOf } from "../src/keyboard";

const stroke = (key: string, more: object = {}) => ({
  key,
  code: "",
  ctrlKey: false,
  metaKey: false,
  altKey: false,
  isComposing: false,
  ...more,
});

describe("shortcuts", () => {
  it.each([
    [stroke("/"), "compose"],
    [stroke("?"), "help"],
    [stroke("Escape"), "escape"],
    [stroke("k", { ctrlKey: true }), "switch"],
    [stroke("K", { metaKey: true }), "switch"],
    [stroke("ArrowUp", { altKey: true }), "previous"],
    [stroke("ArrowDown", { altKey: true }), "next"],
    [stroke("ñ", { altKey: true, code: "KeyN" }), "new"],
    [stroke("a"), null],
  ])("%o", (keystroke, command) => expect(commandOf(keystroke, false)).toBe(command));

  it("leaves plain keys to the one who types, and all keys to an input method", () => {
    expect(commandOf(stroke("/"), true)).toBeNull();
    expect(commandOf(stroke("Escape"), true)).toBe("escape");
    expect(commandOf(stroke("Escape", { isComposing: true }), true)).toBeNull();
  });
});
