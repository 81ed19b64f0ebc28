// The side of the page: connection, conversations, who wants to be let in, and the processes behind it all.

import type { Phase } from "../connection";
import { keysOf, originOf, type SessionList } from "../session-list";
import type { PairingRequest, Unit } from "../wire";
import { Icon, Mark } from "./icons";
import { ago, duration } from "./words";

export interface SidebarProps {
  phase: Phase;
  version: string | undefined;
  now: number;
  sessions: SessionList;
  selected: string | null;
  nameOf: (key: string) => string;
  running: ReadonlySet<string>;
  pairing: PairingRequest[];
  units: Unit[];
  onSelect: (key: string) => void;
  onNew: () => void;
  onRetry: () => void;
  onSignOut: () => void;
  onVerdict: (verdict: "approve" | "dismiss", request: PairingRequest) => void;
}

export function Sidebar(props: SidebarProps) {
  return (
    <>
      <header class="brand">
        <Mark />
        <div>
          <h1>Creel</h1>
          <ConnectionState phase={props.phase} now={props.now} onRetry={props.onRetry} />
        </div>
        <button type="button" class="ghost" onClick={props.onSignOut} aria-label="Sign out" title="Sign out">
          <Icon name="leave" />
        </button>
      </header>
      {props.pairing.length > 0 && <Pairing requests={props.pairing} now={props.now} onVerdict={props.onVerdict} />}
      <Conversations {...props} />
      {props.units.length > 0 && <Units units={props.units} version={props.version} />}
    </>
  );
}

function ConnectionState({ phase, now, onRetry }: { phase: Phase; now: number; onRetry: () => void }) {
  const seconds = phase.is === "waiting" ? Math.max(0, Math.ceil((phase.until - now) / 1_000)) : 0;
  const words = {
    "signed-out": "Signed out",
    connecting: "Connecting…",
    live: "Live",
    waiting: seconds > 0 ? `Reconnecting in ${seconds} s` : "Reconnecting…",
    refused: "Refused",
  }[phase.is];
  return (
    <p class={`connection ${phase.is}`} role="status">
      <span class="dot" aria-hidden="true" />
      <span title={phase.is === "waiting" || phase.is === "refused" ? phase.why : undefined}>{words}</span>
      {phase.is === "waiting" && (
        <button type="button" class="link" onClick={onRetry}>
          Now
        </button>
      )}
    </p>
  );
}

function Conversations({ sessions, selected, nameOf, running, now, onSelect, onNew }: SidebarProps) {
  const rows = new Map(sessions.rows.map((r) => [r.key, r]));
  return (
    <nav class="sessions" aria-labelledby="sessions-title">
      <div class="title">
        <h2 id="sessions-title">Conversations</h2>
        <button
          type="button"
          class="ghost"
          onClick={onNew}
          aria-label="New conversation"
          title="New conversation (Alt+N)"
        >
          <Icon name="plus" />
        </button>
      </div>
      <ul>
        {keysOf(sessions, selected).map((key) => {
          const row = rows.get(key);
          const unseen = sessions.unseen.has(key);
          return (
            <li key={key}>
              <button
                type="button"
                class="session"
                aria-current={key === selected ? "page" : undefined}
                onClick={() => onSelect(key)}
              >
                <span class="name">{nameOf(key)}</span>
                <span class="when">{row?.updatedAt ? ago(row.updatedAt, now) : ""}</span>
                <span class="origin">{originOf(row, key)}</span>
                {running.has(key) || row?.hasActiveRun ? (
                  <span class="spinner" role="img" aria-label="Running" />
                ) : (
                  unseen && <span class="unseen" role="img" aria-label="New messages" />
                )}
              </button>
            </li>
          );
        })}
      </ul>
    </nav>
  );
}

function Pairing({
  requests,
  now,
  onVerdict,
}: {
  requests: PairingRequest[];
  now: number;
  onVerdict: SidebarProps["onVerdict"];
}) {
  return (
    <section class="pairing" aria-labelledby="pairing-title">
      <h2 id="pairing-title">Wants to talk to you</h2>
      <ul>
        {requests.map((request) => {
          const who = request.senderName || request.senderId;
          const left = request.expiresAtMs ? request.expiresAtMs - now : 0;
          return (
            <li key={`${request.channel}:${request.code}`}>
              <p>
                <strong>{who}</strong> <span class="origin">{request.channel}</span>
              </p>
              <p class="origin">
                {request.senderName ? `${request.senderId} · ` : ""}code <code>{request.code}</code>
                {left > 0 &&
                  ` · ${duration(Math.ceil(left / 60_000) * 60_000)
                    .replace(" 0 s", "")
                    .replace(" 0 min", "")} left`}
              </p>
              <div class="row">
                <button
                  type="button"
                  class="primary"
                  onClick={() => onVerdict("approve", request)}
                  aria-label={`Approve ${who}`}
                >
                  Approve
                </button>
                <button type="button" onClick={() => onVerdict("dismiss", request)} aria-label={`Dismiss ${who}`}>
                  Dismiss
                </button>
              </div>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

const HEALTHY = new Set(["running", "ready", "live", "up"]);

function Units({ units, version }: { units: Unit[]; version: string | undefined }) {
  const ill = units.filter((u) => !HEALTHY.has(u.state)).length;
  return (
    <details class="units">
      <summary>
        <Icon name="chevron" />
        <h2>Processes</h2>
        <span class={ill ? "origin bad" : "origin"}>
          {ill ? `${ill} of ${units.length} not running` : `${units.length} running`}
        </span>
      </summary>
      <ul>
        {units.map((unit) => (
          <li key={unit.name} title={[unit.kind, unit.pid && `pid ${unit.pid}`].filter(Boolean).join(" · ")}>
            <span class={`dot ${HEALTHY.has(unit.state) ? "good" : "ill"}`} aria-hidden="true" />
            <span class="name">{unit.name}</span>
            <span class="origin">
              {HEALTHY.has(unit.state) ? "" : unit.state}
              {HEALTHY.has(unit.state) && unit.uptimeMs ? duration(unit.uptimeMs) : ""}
              {unit.restarts ? ` · ${unit.restarts}×` : ""}
            </span>
            {unit.isolation?.level !== undefined && (
              <span class="level" title="Measured isolation level">
                {String(unit.isolation.level)}
              </span>
            )}
          </li>
        ))}
      </ul>
      {version && <p class="origin">Gateway {version}</p>}
    </details>
  );
}
