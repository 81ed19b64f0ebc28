// Commands that wait for a person's word. They stand right above the field, whichever conversation is open.

import type { Approval, Decision } from "../wire";
import { duration } from "./words";

export interface ApprovalsProps {
  approvals: Approval[];
  now: number;
  onDecide: (id: string, decision: Decision) => void;
}

const DECISIONS: { decision: Decision; words: string; primary?: true }[] = [
  { decision: "allow-once", words: "Allow once", primary: true },
  { decision: "allow-always", words: "Always allow" },
  { decision: "deny", words: "Deny" },
];

export function Approvals({ approvals, now, onDecide }: ApprovalsProps) {
  if (approvals.length === 0) return null;
  return (
    <ul class="approvals" aria-label="Commands that wait for you">
      {approvals.map(({ id, request, expiresAtMs }) => (
        <li key={id}>
          <p>
            <strong>{request.agentId ?? "The agent"}</strong> asks to run a command
            {request.cwd && (
              <>
                {" "}
                in <code>{request.cwd}</code>
              </>
            )}
          </p>
          <pre tabIndex={0}>{request.command}</pre>
          <div class="row">
            {DECISIONS.map(({ decision, words, primary }) => (
              <button type="button" class={primary && "primary"} onClick={() => onDecide(id, decision)}>
                {words}
              </button>
            ))}
            {expiresAtMs !== undefined && (
              <span class="origin">{duration(Math.ceil((expiresAtMs - now) / 1_000) * 1_000)} left</span>
            )}
          </div>
        </li>
      ))}
    </ul>
  );
}
