// The tree of markdown.ts as DOM nodes. There is no `innerHTML` here and there must never be one.

import type { ComponentChildren } from "preact";
import { useMemo, useState } from "preact/hooks";
import { type Block, type Inline, parse } from "../markdown";
import { Icon } from "./icons";

export function Markdown({ text }: { text: string }) {
  const blocks = useMemo(() => parse(text), [text]);
  return <div class="prose">{blocks.map(block)}</div>;
}

function block(b: Block): ComponentChildren {
  switch (b.is) {
    case "paragraph":
      return <p>{b.parts.map(inline)}</p>;
    case "heading": {
      // The page's own headings are h1 and h2.
      const Level = `h${Math.min(6, b.level + 2)}` as "h3";
      return <Level>{b.parts.map(inline)}</Level>;
    }
    case "code":
      return <Code language={b.language} text={b.text} />;
    case "quote":
      return <blockquote>{b.blocks.map(block)}</blockquote>;
    case "rule":
      return <hr />;
    case "list": {
      const items = b.items.map((blocks) => {
        const [only] = blocks;
        return <li>{blocks.length === 1 && only?.is === "paragraph" ? only.parts.map(inline) : blocks.map(block)}</li>;
      });
      return b.ordered ? <ol start={b.start}>{items}</ol> : <ul>{items}</ul>;
    }
    case "table":
      return (
        <div class="wide" tabIndex={0} role="group" aria-label="Table">
          <table>
            <thead>
              <tr>
                {b.head.map((cell) => (
                  <th scope="col">{cell.map(inline)}</th>
                ))}
              </tr>
            </thead>
            <tbody>
              {b.rows.map((row) => (
                <tr>
                  {row.map((cell) => (
                    <td>{cell.map(inline)}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      );
  }
}

function inline(part: Inline): ComponentChildren {
  if (typeof part === "string") return part;
  switch (part.is) {
    case "code":
      return <code>{part.text}</code>;
    case "strong":
      return <strong>{part.parts.map(inline)}</strong>;
    case "em":
      return <em>{part.parts.map(inline)}</em>;
    case "del":
      return <del>{part.parts.map(inline)}</del>;
    case "break":
      return <br />;
    case "link":
      return (
        <a href={part.href} target="_blank" rel="noopener noreferrer nofollow">
          {part.parts.map(inline)}
        </a>
      );
  }
}

function Code({ language, text }: { language: string; text: string }) {
  return (
    <figure class="code">
      <figcaption>
        <span>{language || "text"}</span>
        <Copy text={text} what="code" />
      </figcaption>
      <pre tabIndex={0}>
        <code>{text}</code>
      </pre>
    </figure>
  );
}

/** Browsers offer the clipboard to https and localhost only; elsewhere there is no button. */
export function Copy({ text, what }: { text: string; what: string }) {
  const [done, setDone] = useState(false);
  if (!navigator.clipboard) return null;
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setDone(true);
    setTimeout(() => setDone(false), 1_500);
  };
  return (
    <button type="button" class="ghost small" onClick={copy} aria-label={done ? "Copied" : `Copy ${what}`}>
      <Icon name={done ? "check" : "copy"} />
    </button>
  );
}
