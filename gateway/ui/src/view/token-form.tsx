// Shown without a token, or when the gateway refused: what is missing, where to find it, and one field.

import { useState } from "preact/hooks";
import type { Phase } from "../connection";
import { Mark } from "./icons";

export interface TokenFormProps {
  phase: Phase;
  onToken: (token: string, keep: boolean) => void;
  onRetry: () => void;
}

export function TokenForm({ phase, onToken, onRetry }: TokenFormProps) {
  const [token, setToken] = useState("");
  const [keep, setKeep] = useState(false);
  const refused = phase.is === "refused" ? phase : null;
  const asks = !refused || refused.wantsToken;
  return (
    <main class="door">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (asks && token.trim()) onToken(token.trim(), keep);
          if (!asks) onRetry();
        }}
      >
        <Mark />
        <h1>{asks ? "Sign in to Creel" : "Creel refused the connection"}</h1>
        {refused && (
          <p class="failure" role="alert">
            {refused.why}
          </p>
        )}
        {asks ? (
          <>
            <p>
              Run <code>creel token</code> on the machine where Creel runs, and paste what it prints.
            </p>
            {/* Password managers file a secret under a name. */}
            <input type="text" name="username" autocomplete="username" value="creel" readOnly hidden />
            <label>
              Gateway token
              <input
                type="password"
                name="token"
                autocomplete="current-password"
                spellcheck={false}
                required
                autofocus
                value={token}
                onInput={(event) => setToken(event.currentTarget.value)}
              />
            </label>
            <label class="check">
              <input type="checkbox" checked={keep} onChange={(event) => setKeep(event.currentTarget.checked)} />
              Stay signed in on this browser
            </label>
          </>
        ) : null}
        <button type="submit" class="primary">
          {asks ? "Sign in" : "Try again"}
        </button>
      </form>
    </main>
  );
}
