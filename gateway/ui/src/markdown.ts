// Markdown as models write it → a tree. The page builds DOM nodes from the tree, so no text is ever parsed as HTML.
// Every search for a closing mark is bounded or remembered, so hostile text costs about linear time.

export type Inline =
  | string
  | { is: "code"; text: string }
  | { is: "strong" | "em" | "del"; parts: Inline[] }
  | { is: "link"; href: string; parts: Inline[] }
  | { is: "break" };

export type Block =
  | { is: "paragraph"; parts: Inline[] }
  | { is: "heading"; level: number; parts: Inline[] }
  | { is: "code"; language: string; text: string }
  | { is: "quote"; blocks: Block[] }
  | { is: "list"; ordered: boolean; start: number; items: Block[][] }
  | { is: "table"; head: Inline[][]; rows: Inline[][][] }
  | { is: "rule" };

const DEEPEST = 6;
const LONGEST_LABEL = 400;

export function parse(text: string): Block[] {
  return blocks(text.replace(/\r\n?/g, "\n").split("\n"), 0);
}

/** The address when it is safe to offer as a link; `null` otherwise. */
export function safeHref(address: string): string | null {
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    return null;
  }
  return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : null;
}

// --- blocks ---------------------------------------------------------------------------------------------------------

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^\s`]*)[^`]*$/;
const HEADING = /^ {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*$/;
const RULE = /^ {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const QUOTE = /^ {0,3}> ?/;
const BULLET = /^( {0,3})([-*+]|\d{1,9}[.)])([ \t]+|$)/;
const TABLE_RULE = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;

function blocks(lines: string[], depth: number): Block[] {
  const out: Block[] = [];
  let open: string[] = [];
  const flush = () => {
    if (open.length) out.push({ is: "paragraph", parts: inline(open.join("\n").trim()) });
    open = [];
  };

  let at = 0;
  while (at < lines.length) {
    const line = lines[at] ?? "";
    const fence = FENCE.exec(line);
    const heading = HEADING.exec(line);
    if (line.trim() === "") {
      flush();
      at++;
    } else if (fence) {
      flush();
      const mark = fence[1] ?? "```";
      const body: string[] = [];
      for (at++; at < lines.length && !isClosing(lines[at] ?? "", mark); at++) body.push(lines[at] ?? "");
      at++;
      out.push({ is: "code", language: fence[2] ?? "", text: body.join("\n") });
    } else if (heading) {
      flush();
      out.push({ is: "heading", level: (heading[1] ?? "#").length, parts: inline(heading[2] ?? "") });
      at++;
    } else if (RULE.test(line)) {
      flush();
      out.push({ is: "rule" });
      at++;
    } else if (depth < DEEPEST && QUOTE.test(line)) {
      flush();
      const body: string[] = [];
      while (at < lines.length && QUOTE.test(lines[at] ?? "")) body.push((lines[at++] ?? "").replace(QUOTE, ""));
      out.push({ is: "quote", blocks: blocks(body, depth + 1) });
    } else if (depth < DEEPEST && startsList(line, open.length > 0)) {
      flush();
      at = list(lines, at, depth, out);
    } else if (
      open.length === 0 &&
      line.includes("|") &&
      TABLE_RULE.test(lines[at + 1] ?? "") &&
      sameWidth(line, lines[at + 1])
    ) {
      const head = cells(line);
      const rows: Inline[][][] = [];
      for (at += 2; at < lines.length && (lines[at] ?? "").includes("|"); at++) {
        const row = cells(lines[at] ?? "");
        rows.push(head.map((_, n) => row[n] ?? []));
      }
      out.push({ is: "table", head, rows });
    } else {
      open.push(line);
      at++;
    }
  }
  flush();
  return out;
}

function isClosing(line: string, mark: string): boolean {
  const text = line.trim();
  return text.length >= mark.length && text === (mark[0] ?? "`").repeat(text.length);
}

/** Inside a paragraph only `-`, `*`, `+` and `1.` begin a list, so that "…in\n1984. It was" stays text. */
function startsList(line: string, inParagraph: boolean): boolean {
  const bullet = BULLET.exec(line);
  if (!bullet) return false;
  return !inParagraph || (/^([-*+]|1[.)])$/.test(bullet[2] ?? "") && line.trim().length > (bullet[2] ?? "").length);
}

function list(lines: string[], from: number, depth: number, out: Block[]): number {
  const first = BULLET.exec(lines[from] ?? "")?.[2] ?? "-";
  const ordered = /\d/.test(first);
  const items: Block[][] = [];
  let body: string[] = [];
  let width = 0;
  let at = from;
  const close = () => {
    if (body.length) items.push(blocks(body, depth + 1));
    body = [];
  };
  for (; at < lines.length; at++) {
    const line = lines[at] ?? "";
    const indent = line.length - line.trimStart().length;
    const bullet = BULLET.exec(line);
    if (line.trim() === "") {
      const next = lines[at + 1] ?? "";
      const goes = next.trim() !== "" && (next.length - next.trimStart().length >= width || isSameList(next, ordered));
      if (!goes) break;
      body.push("");
    } else if (bullet && indent < Math.max(width, 2) && !RULE.test(line)) {
      if (/\d/.test(bullet[2] ?? "") !== ordered) break;
      close();
      width = (bullet[1] ?? "").length + (bullet[2] ?? "").length + 1;
      body.push(line.slice(bullet[0].length) || " ");
    } else if (indent >= Math.min(width, 2)) {
      body.push(line.slice(Math.min(indent, width)));
    } else if (
      body.at(-1) !== "" &&
      !FENCE.test(line) &&
      !HEADING.test(line) &&
      !RULE.test(line) &&
      !QUOTE.test(line)
    ) {
      body.push(line);
    } else break;
  }
  close();
  out.push({ is: "list", ordered, start: ordered ? Number.parseInt(first, 10) : 1, items });
  return at;
}

function isSameList(line: string, ordered: boolean): boolean {
  const bullet = BULLET.exec(line);
  return bullet !== null && /\d/.test(bullet[2] ?? "") === ordered;
}

function split(line: string): string[] {
  const text = line
    .trim()
    .replace(/^\|/, "")
    .replace(/(?<!\\)\|$/, "");
  return text.split(/(?<!\\)\|/).map((cell) => cell.replaceAll("\\|", "|").trim());
}

const cells = (line: string): Inline[][] => split(line).map((cell) => inline(cell));
const sameWidth = (head: string, rule = "") => split(head).length === split(rule).length;

// --- inline ---------------------------------------------------------------------------------------------------------

const PLAIN = /[^\\`*_~[!<h\n]+/y;
const BARE = /https?:\/\/[^\s<>"'`]+/y;
const ANGLE = /<((?:https?:\/\/|mailto:)[^\s<>]{1,2000})>/y;
const BARE_END = /[.,;:!?*_~)\]}]+$/;
const PUNCTUATION = /[!-/:-@[-`{-~]/;
const WORD = /[\p{L}\p{N}]/u;

export function inline(text: string, depth = 0, inLink = false): Inline[] {
  const out: Inline[] = [];
  let plain = "";
  let at = 0;
  /** Marks that are known to have no partner further on. */
  const lonely = new Set<string>();

  const push = (part: Inline) => {
    if (plain) out.push(plain);
    plain = "";
    out.push(part);
  };
  const match = (pattern: RegExp) => {
    pattern.lastIndex = at;
    return pattern.exec(text);
  };

  while (at < text.length) {
    const char = text[at] ?? "";
    const next = text[at + 1] ?? "";

    if (char === "\\" && PUNCTUATION.test(next)) {
      plain += next;
      at += 2;
    } else if (char === "\n") {
      plain = plain.trimEnd();
      push({ is: "break" });
      at++;
    } else if (char === "`") {
      const mark = /`+/y;
      mark.lastIndex = at;
      const ticks = mark.exec(text)?.[0] ?? "`";
      const end = lonely.has(ticks) ? -1 : closingTicks(text, at + ticks.length, ticks.length);
      if (end < 0) {
        lonely.add(ticks);
        plain += ticks;
        at += ticks.length;
      } else {
        const code = text.slice(at + ticks.length, end).replaceAll("\n", " ");
        push({ is: "code", text: /^ .*[^ ].* $/.test(code) ? code.slice(1, -1) : code });
        at = end + ticks.length;
      }
    } else if (char === "*" || char === "_" || (char === "~" && next === "~")) {
      const mark = next === char ? char + char : char;
      const end =
        lonely.has(mark) || depth >= DEEPEST ? -1 : opens(text, at, mark) ? closing(text, at + mark.length, mark) : -2;
      if (end < 0) {
        if (end === -1) lonely.add(mark);
        plain += mark;
        at += mark.length;
      } else {
        const parts = inline(text.slice(at + mark.length, end), depth + 1, inLink);
        push({ is: mark === "~~" ? "del" : mark.length === 2 ? "strong" : "em", parts });
        at = end + mark.length;
      }
    } else if (char === "[" || (char === "!" && next === "[")) {
      const link = inLink ? null : linkAt(text, char === "!" ? at + 1 : at);
      const href = link && safeHref(link.address);
      if (link && href) {
        // An image would be a request to somebody else's server: it is offered as a link.
        push({ is: "link", href, parts: link.label ? inline(link.label, depth, true) : [href] });
        at = link.end;
      } else {
        plain += char;
        at++;
      }
    } else if (char === "<" && !inLink) {
      const found = match(ANGLE);
      const href = found && safeHref(found[1] ?? "");
      if (found && href) push({ is: "link", href, parts: [found[1] ?? ""] });
      else plain += char;
      at += found && href ? found[0].length : 1;
    } else if (char === "h" && !inLink && !WORD.test(text[at - 1] ?? "")) {
      const found = match(BARE)?.[0].replace(BARE_END, "");
      const href = found && safeHref(found);
      if (found && href) push({ is: "link", href, parts: [found] });
      else plain += char;
      at += found && href ? found.length : 1;
    } else {
      const run = match(PLAIN)?.[0] ?? char;
      plain += run;
      at += run.length;
    }
  }
  if (plain) out.push(plain);
  return out;
}

function closingTicks(text: string, from: number, length: number): number {
  const runs = /`+/g;
  runs.lastIndex = from;
  for (let run = runs.exec(text); run; run = runs.exec(text)) if (run[0].length === length) return run.index;
  return -1;
}

function opens(text: string, at: number, mark: string): boolean {
  const after = text[at + mark.length] ?? " ";
  return !/\s/.test(after) && !(mark[0] === "_" && WORD.test(text[at - 1] ?? ""));
}

/** Where `mark` closes; skips escapes, code spans and, for a single mark, doubled ones. */
function closing(text: string, from: number, mark: string): number {
  const char = mark[0] ?? "";
  for (let at = from; at < text.length; at++) {
    const here = text[at];
    if (here === "\\") at++;
    else if (here === "`") {
      const end = text.indexOf("`", at + 1);
      if (end > 0) at = end;
    } else if (here === char) {
      let run = 1;
      while (text[at + run] === char) run++;
      const fits = mark.length === 1 ? run !== 2 : run >= 2;
      const end = at + run - mark.length;
      const tight = !/\s/.test(text[at - 1] ?? " ") && end > from - 1 && at > from;
      if (fits && tight && !(char === "_" && WORD.test(text[at + run] ?? ""))) return end;
      at += run - 1;
    }
  }
  return -1;
}

function linkAt(text: string, at: number): { label: string; address: string; end: number } | null {
  let depth = 0;
  let close = at;
  const limit = Math.min(text.length, at + LONGEST_LABEL);
  for (; close < limit; close++) {
    const char = text[close];
    if (char === "\\") close++;
    else if (char === "[") depth++;
    else if (char === "]" && --depth === 0) break;
  }
  if (close >= limit || text[close + 1] !== "(") return null;
  const target =
    /\(\s*(?:<([^<>\n]{0,2000})>|([^\s()]{0,2000}(?:\([^\s()]{0,500}\)[^\s()]{0,500}){0,4}))(?:\s+"[^"\n]{0,500}")?\s*\)/y;
  target.lastIndex = close + 1;
  const found = target.exec(text);
  if (!found) return null;
  return { label: text.slice(at + 1, close), address: found[1] ?? found[2] ?? "", end: close + 1 + found[0].length };
}
