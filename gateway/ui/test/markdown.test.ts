import { describe, expect, it } from "vitest";
import { type Block, type Inline, inline, parse, safeHref } from "../src/markdown";

const paragraph = (...parts: Inline[]): Block => ({ is: "paragraph", parts });

/** Every address in a tree: what a reader could click. */
function addresses(tree: unknown): string[] {
  if (Array.isArray(tree)) return tree.flatMap(addresses);
  if (typeof tree !== "object" || tree === null) return [];
  const own = "href" in tree ? [String(tree.href)] : [];
  return [...own, ...Object.values(tree).flatMap((part) => (typeof part === "object" ? addresses(part) : []))];
}

/** All text of a tree: what a reader could read. */
function text(tree: unknown): string {
  if (typeof tree === "string") return tree;
  if (Array.isArray(tree)) return tree.map(text).join("");
  if (typeof tree !== "object" || tree === null) return "";
  const { parts, blocks, items, head, rows, text: own } = tree as Record<string, unknown>;
  return text(own) + text(parts) + text(blocks) + text(items) + text(head) + text(rows);
}

describe("hostile text", () => {
  it.each([
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    " javascript:alert(1)",
    "java\tscript:alert(1)",
    "java\nscript:alert(1)",
    "\u0001javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:msgbox(1)",
    "file:///etc/passwd",
    "blob:https://x/1",
    "//evil.example",
    "/relative",
    "#fragment",
    "ws://x",
    "",
  ])("offers no link to %j", (address) => {
    expect(safeHref(address)).toBeNull();
    for (const source of [`[x](${address})`, `[x](<${address}>)`, `![x](${address})`, `<${address}>`]) {
      expect(addresses(parse(source)).filter((a) => !/^(https?|mailto):/.test(a))).toEqual([]);
    }
  });

  it.each(["https://example.org/a?b=c#d", "http://127.0.0.1:18789/", "mailto:ada@example.org"])(
    "offers %s",
    (address) => {
      expect(safeHref(address)).toBe(address);
    },
  );

  it("keeps HTML as text", () => {
    const source = `<img src=x onerror=alert(1)> <script>alert(1)</script> <a href="javascript:x">y</a>`;
    expect(parse(source)).toEqual([paragraph(...inline(source))]);
    expect(text(parse(source))).toBe(source);
    expect(addresses(parse(source))).toEqual([]);
  });

  it("cannot break out of an address", () => {
    expect(addresses(parse(`[x](https://a.example/"onmouseover="alert(1))`))).toEqual([
      "https://a.example/%22onmouseover=%22alert(1)",
    ]);
  });

  it("loads no image, it links to it", () => {
    expect(inline("![cat](https://a.example/cat.png)")).toEqual([
      { is: "link", href: "https://a.example/cat.png", parts: ["cat"] },
    ]);
  });

  it("puts no link inside a link", () => {
    expect(inline("[https://bank.example](https://evil.example)")).toEqual([
      { is: "link", href: "https://evil.example/", parts: ["https://bank.example"] },
    ]);
  });

  it.each([
    ">",
    "- ",
    "1. ",
    "*a ",
    "**",
    "_",
    "~~",
    "[",
    "![",
    "`",
    "``` ",
    "<",
    "|",
    "[a](",
    "\\",
    "# ",
    "http://",
    "*_",
    "* a\n  ",
  ])("survives %j repeated", (unit) => {
    const source = unit.repeat(20_000);
    expect(parse(source).length).toBeGreaterThan(0);
  });

  it("loses no letter, whatever marks surround it", () => {
    const marks = [
      "*",
      "**",
      "_",
      "`",
      "~~",
      "[",
      "](",
      ")",
      "\n",
      "\n\n",
      "> ",
      "- ",
      "1. ",
      "# ",
      "|",
      "```\n",
      " ",
      "<",
      "h",
    ];
    let seed = 7;
    const pick = () => marks[(seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) % marks.length] ?? "";
    for (let round = 0; round < 500; round++) {
      let source = "";
      for (let n = 0; n < 24; n++) source += `${pick()}${String.fromCharCode(65 + n)}`;
      const letters = new Set(text(parse(source)).replace(/[^A-X]/g, ""));
      expect(letters.size, JSON.stringify(source)).toBe(24);
    }
  });
});

describe("what models write", () => {
  it("reads emphasis, code and links", () => {
    expect(inline("a **b** *c* _d_ ~~e~~ `f*g*` [h](https://i.example)")).toEqual([
      "a ",
      { is: "strong", parts: ["b"] },
      " ",
      { is: "em", parts: ["c"] },
      " ",
      { is: "em", parts: ["d"] },
      " ",
      { is: "del", parts: ["e"] },
      " ",
      { is: "code", text: "f*g*" },
      " ",
      { is: "link", href: "https://i.example/", parts: ["h"] },
    ]);
    expect(inline("**a *b* c**")).toEqual([{ is: "strong", parts: ["a ", { is: "em", parts: ["b"] }, " c"] }]);
    expect(inline("***a***")).toEqual([{ is: "strong", parts: [{ is: "em", parts: ["a"] }] }]);
  });

  it("leaves snake_case, 2 * 3 * 4 and lone marks alone", () => {
    for (const plain of ["snake_case_name", "2 * 3 * 4", "a * b", "**open", "`open", "~tilde~", "x_"])
      expect(inline(plain)).toEqual([plain]);
  });

  it("links bare addresses without the full stop", () => {
    expect(inline("see https://a.example/b.")).toEqual([
      "see ",
      { is: "link", href: "https://a.example/b", parts: ["https://a.example/b"] },
      ".",
    ]);
  });

  it("reads blocks", () => {
    expect(parse("# T\n\npara\nline\n\n---\n> q")).toEqual([
      { is: "heading", level: 1, parts: ["T"] },
      paragraph("para", { is: "break" }, "line"),
      { is: "rule" },
      { is: "quote", blocks: [paragraph("q")] },
    ]);
  });

  it("reads code, also while it is still being written", () => {
    expect(parse("```rust\nfn a() {}\n```\nend")).toEqual([
      { is: "code", language: "rust", text: "fn a() {}" },
      paragraph("end"),
    ]);
    expect(parse("```\n**x**\n")).toEqual([{ is: "code", language: "", text: "**x**\n" }]);
    expect(parse("````\n```\n````")).toEqual([{ is: "code", language: "", text: "```" }]);
  });

  it("reads nested and loose lists", () => {
    expect(parse("- a\n  - b\n- c")).toEqual([
      {
        is: "list",
        ordered: false,
        start: 1,
        items: [
          [paragraph("a"), { is: "list", ordered: false, start: 1, items: [[paragraph("b")]] }],
          [paragraph("c")],
        ],
      },
    ]);
    expect(parse("3. a\n\n4. b\n   ```\n   x\n   ```")).toEqual([
      {
        is: "list",
        ordered: true,
        start: 3,
        items: [[paragraph("a")], [paragraph("b"), { is: "code", language: "", text: "x" }]],
      },
    ]);
  });

  it("reads tables", () => {
    expect(parse("| a | b |\n|---|:-:|\n| 1 | `2\\|3` |\n| 4 |")).toEqual([
      {
        is: "table",
        head: [["a"], ["b"]],
        rows: [
          [["1"], [{ is: "code", text: "2|3" }]],
          [["4"], []],
        ],
      },
    ]);
  });
});
