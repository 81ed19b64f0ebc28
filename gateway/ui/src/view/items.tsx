// One item of a conversation: what was said, what was answered, which tool ran.

import { Component } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Item, Reply, Said, ToolRun } from "../transcript";
import { Icon } from "./icons";
import { Copy, Markdown } from "./markdown";
import { duration, fullTime, gist, timeOf } from "./words";

export interface ItemProps {
  item: Item;
  /** The same run says more below. */
  goesOn: boolean;
  onWithdraw: (said: Said) => void;
}

/** Items are replaced, never changed, so the same object needs no second look: a long past costs nothing while text streams. */
export class ItemView extends Component<ItemProps> {
  override shouldComponentUpdate(next: ItemProps) {
    return next.item !== this.props.item || next.goesOn !== this.props.goesOn;
  }

  override render() {
    const { item, goesOn, onWithdraw } = this.props;
    switch (item.kind) {
      case "user":
        return <SaidView said={item} onWithdraw={onWithdraw} />;
      case "reply":
        return <ReplyView reply={item} goesOn={goesOn} />;
      case "tool":
        return <ToolView tool={item} />;
      case "note":
        return <p class="note">{item.text}</p>;
    }
  }
}

function SaidView({ said, onWithdraw }: { said: Said; onWithdraw: (said: Said) => void }) {
  return (
    <article class={`said ${said.state}`} aria-label="You">
      <div class="bubble">{said.text}</div>
      <footer>
        {said.state === "failed" ? (
          <>
            <span class="bad">Not sent: {said.error}</span>
            <button type="button" class="link" onClick={() => onWithdraw(said)}>
              Edit
            </button>
          </>
        ) : (
          <Time at={said.at} text={said.state === "sending" ? "Sending…" : undefined} />
        )}
      </footer>
    </article>
  );
}

function ReplyView({ reply, goesOn }: { reply: Reply; goesOn: boolean }) {
  return (
    <article class={`reply ${reply.state}`} aria-label="Agent" aria-busy={reply.state === "streaming"}>
      {reply.text && <Markdown text={reply.text} />}
      {reply.state === "failed" && (
        <p class="failure" role="alert">
          {reply.error ?? "The run failed."}
        </p>
      )}
      {reply.state !== "streaming" && !goesOn && (
        <footer>
          {reply.state === "aborted" && <span>Stopped</span>}
          <Time at={reply.at} />
          {reply.text && <Copy text={reply.text} what="reply" />}
        </footer>
      )}
    </article>
  );
}

const TOOL_STATES = { running: "Running", done: "Done", failed: "Failed", stopped: "Stopped" };

function ToolView({ tool }: { tool: ToolRun }) {
  const [open, setOpen] = useState(false);
  const args =
    tool.args === undefined ? "" : typeof tool.args === "string" ? tool.args : JSON.stringify(tool.args, null, 2);
  return (
    <details
      class={`tool ${tool.state}`}
      open={open}
      onToggle={(e) => setOpen(e.currentTarget.open)}
      data-tool={tool.id}
    >
      <summary>
        <span class="state" role="img" aria-label={TOOL_STATES[tool.state]}>
          {tool.state === "running" ? (
            <span class="spinner" />
          ) : (
            <Icon name={tool.state === "done" ? "check" : "cross"} />
          )}
        </span>
        <span class="name">{tool.name}</span>
        <span class="gist">{gist(tool.args)}</span>
        <Took tool={tool} />
        <Icon name="chevron" />
      </summary>
      {open && (
        <div class="body">
          {args && args !== "{}" && (
            <>
              <h3>Arguments</h3>
              <pre tabIndex={0}>{args}</pre>
            </>
          )}
          <h3>Output</h3>
          {tool.output ? (
            <pre tabIndex={0}>{tool.output}</pre>
          ) : (
            <p class="note">{tool.state === "running" ? "Nothing yet." : "No output."}</p>
          )}
        </div>
      )}
    </details>
  );
}

function Took({ tool }: { tool: ToolRun }) {
  const running = tool.state === "running";
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (!running) return;
    const timer = setInterval(() => setNow(Date.now()), 250);
    return () => clearInterval(timer);
  }, [running]);
  const until = tool.endedAt ?? (running ? now : 0);
  return <span class="took">{until && tool.at ? duration(until - tool.at) : ""}</span>;
}

function Time({ at, text }: { at: number; text?: string }) {
  if (!at && !text) return null;
  return (
    <time dateTime={at ? new Date(at).toISOString() : undefined} title={fullTime(at)}>
      {text ?? timeOf(at)}
    </time>
  );
}
