// The page at / in a real browser against a real Creel whose model streams, calls one tool and answers.
//   CREEL_URL='http://127.0.0.1:18789/#token=…' npm run test:ui
// Also read: CREEL_SAY (the message, "hello"), CHROMIUM (/usr/bin/chromium), CREEL_SHOTS (a folder for pictures).

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { chromium } from "playwright-core";

const { CREEL_URL, CREEL_SAY = "hello", CHROMIUM = "/usr/bin/chromium", CREEL_SHOTS } = process.env;
const ARGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

if (!CREEL_URL?.includes("#token=")) {
  throw new Error("CREEL_URL must be the address that `creel token` prints, with its #token=…; start Creel first.");
}
const address = new URL(CREEL_URL);
const token = new URLSearchParams(address.hash.slice(1)).get("token");

/** What the browser did on its own, over all pages of a context. */
function watch(context) {
  const seen = { hosts: new Set(), urls: [], errors: [] };
  const note = (url) => {
    seen.urls.push(url);
    seen.hosts.add(new URL(url).host);
  };
  context.on("request", (request) => note(request.url()));
  context.on("page", (page) => {
    page.on("websocket", (socket) => note(socket.url()));
    page.on("pageerror", (error) => seen.errors.push(error.message));
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && seen.errors.push(message.text()));
  });
  return seen;
}

const shoot = (page, name) => (CREEL_SHOTS ? page.screenshot({ path: `${CREEL_SHOTS}/${name}.png` }) : undefined);
/** Generous: it only says when to give up. The longest wait is the page's own before it tries to connect once more. */
const PATIENCE_MS = 45_000;
const field = (page) => page.getByRole("textbox", { name: "Message" });

/** Asks until the answer is the expected one: what a key or a click changes is drawn a moment later. */
async function becomes(expected, ask, what) {
  const end = Date.now() + PATIENCE_MS;
  let found = await ask();
  while (!isDeepStrictEqual(found, expected) && Date.now() < end) {
    await sleep(20);
    found = await ask();
  }
  assert.deepEqual(found, expected, what);
}

const focused = (page, tag) => page.waitForFunction((name) => document.activeElement?.tagName === name, tag);

/** Connected, and listening to the keyboard: the page takes the focus in the moment in which it begins to. */
async function isLive(page) {
  await page.locator(".connection.live").waitFor({ state: "attached" });
  await focused(page, "TEXTAREA");
}

const begun = new Set();
/** Begins a conversation and waits until it is the one that is shown. Says its address. */
async function begin(page) {
  await page.keyboard.press("Alt+n");
  // An empty conversation looks like any other, and an earlier key may still have its own effect on the address.
  await page.waitForURL((url) => url.hash.includes(":web:") && !begun.has(url.hash));
  const url = page.url();
  begun.add(new URL(url).hash);
  await page.getByRole("heading", { name: "What shall we do?" }).waitFor();
  return url;
}

/** The texts of the conversation, without times. */
const texts = (page) => page.$$eval(".bubble, .prose, .tool .name", (nodes) => nodes.map((n) => n.textContent));

describe("the page", () => {
  let browser;
  let context;
  let page;
  let seen;
  let session;
  let fallen = false;

  /** Each step goes on where the one before it ended: after one that failed the others would only repeat that. */
  const step = (name, act) =>
    it(name, async (t) => {
      if (fallen) return t.skip("an earlier step failed");
      fallen = true;
      await act();
      fallen = false;
    });

  async function fresh() {
    const context = await browser.newContext({ viewport: { width: 1280, height: 860 } });
    context.setDefaultTimeout(PATIENCE_MS);
    return context;
  }

  before(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGS });
    context = await fresh();
    seen = watch(context);
    page = await context.newPage();
  });
  after(() => browser?.close());

  step("opens with the token of the address and takes it out of sight", async () => {
    const response = await page.goto(CREEL_URL);
    await isLive(page);
    assert.match(response.headers()["content-security-policy"] ?? "", /default-src 'self'/);
    assert.ok(!page.url().includes(token), "the token must leave the address bar");
    assert.ok(!seen.urls.some((url) => url.includes(token)), "no request may carry the token in its address");
  });

  step("streams an answer, with the tool that ran", async () => {
    // A conversation of its own, so that the test can be run again on the same Creel.
    session = await begin(page);

    await page.evaluate(() => {
      window.lengths = new Set();
      new MutationObserver(() => {
        const text = document.querySelector(".reply.streaming .prose")?.textContent;
        if (text) window.lengths.add(text.length);
      }).observe(document.body, { subtree: true, childList: true, characterData: true });
    });
    await field(page).fill(CREEL_SAY);
    await field(page).press("Enter");
    await page.locator(".bubble", { hasText: CREEL_SAY }).waitFor();
    await becomes("", () => field(page).inputValue());

    await page.locator(".tool").first().waitFor();
    await page.locator(".reply.done footer").waitFor();
    await page.getByRole("button", { name: "Stop" }).waitFor({ state: "detached" });
    const steps = await page.evaluate(() => window.lengths.size);
    assert.ok(steps >= 2, `the answer must grow on the page; it was drawn ${steps} times`);

    const answer = (await page.locator(".reply .prose").last().textContent()) ?? "";
    assert.notEqual(answer.trim(), "");
    assert.notEqual((await page.locator("#spoken").textContent())?.trim(), "", "a screen reader hears the answer");
    assert.equal(await page.locator(".tool.running").count(), 0);
    await shoot(page, "answer");
  });

  step("opens a tool card", async () => {
    const card = page.locator(".tool").first();
    await card.locator("summary").press("Enter");
    await card.getByText("Output", { exact: true }).waitFor();
    await card.locator("summary").press("Enter");
  });

  step("keeps the conversation over a reload", async () => {
    const before = await texts(page);
    await page.reload();
    await isLive(page);
    assert.equal(page.url(), session, "the conversation stays in the address");
    await page.locator(".bubble", { hasText: CREEL_SAY }).waitFor();
    await becomes(before, () => texts(page));
  });

  step("obeys the keyboard", async () => {
    await page.locator("h1").click();
    await page.keyboard.press("/");
    await focused(page, "TEXTAREA");
    assert.equal(await field(page).inputValue(), "", "the key that moves the focus is not typed");

    await page.locator("h1").click();
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keys" }).waitFor();
    await shoot(page, "keys");
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });

    await page.keyboard.press("Control+k");
    await page.getByRole("dialog", { name: "Find a conversation" }).waitFor();
    await page.keyboard.type("no such conversation");
    await page.getByText("No conversation has these words.").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });

    const empty = await begin(page);
    await page.locator(".session").nth(1).waitFor();
    await page.keyboard.press("Alt+ArrowDown");
    await page.waitForURL((url) => url.href !== empty);
    await page.keyboard.press("Control+k");
    const rows = page.getByRole("option");
    await rows.first().waitFor();
    assert.ok((await rows.count()) >= 1);
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await focused(page, "TEXTAREA");
  });

  step("stops a run with Escape", async () => {
    await begin(page);
    await field(page).fill(CREEL_SAY);
    await field(page).press("Enter");
    await page.locator(".bubble").waitFor();
    await field(page).press("Escape");
    await page.getByRole("button", { name: "Stop" }).waitFor({ state: "detached" });
    assert.equal(await page.locator(".failure").count(), 0);
  });

  step("comes back by itself when the gateway goes away, and sends what was written meanwhile", async () => {
    const away = await fresh();
    const lines = [];
    let cut = false;
    await away.routeWebSocket("**", (line) => {
      if (cut) return line.close({ code: 1012, reason: "service restart" });
      line.connectToServer();
      lines.push(line);
    });
    const other = await away.newPage();
    await other.goto(CREEL_URL);
    await isLive(other);
    await begin(other);
    cut = true;
    await lines[0].close({ code: 1012, reason: "service restart" });
    await other.locator(".connection.waiting").waitFor();
    await other.getByText(/^Reconnecting/).waitFor();
    await field(other).fill(CREEL_SAY);
    await field(other).press("Enter");
    await other.locator(".said.sending").waitFor();
    await shoot(other, "away");
    cut = false;
    await isLive(other);
    await other.locator(".said.sent").waitFor();
    await other.locator(".reply.done footer").waitFor();
    assert.equal(await other.locator(".said").count(), 1);
    await away.close();
  });

  step("fits a narrow phone, in light and dark", async () => {
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await page.setViewportSize({ width: 360, height: 740 });
      const wider = () => page.evaluate(() => Math.max(0, document.documentElement.scrollWidth - 360));
      await becomes(0, wider, "pixels that the page is too wide");
      await page.getByRole("button", { name: "Conversations", exact: true }).click();
      await page.getByRole("navigation").waitFor();
      await shoot(page, `phone-${colorScheme}`);
      await page.keyboard.press("Escape");
      await page.getByRole("navigation").waitFor({ state: "hidden" });
    }
  });

  step("made no error and asked no other host", () => {
    assert.deepEqual(seen.errors, []);
    assert.deepEqual([...seen.hosts], [address.host]);
  });

  step("asks for the token without one, and says so when it is wrong", async () => {
    const stranger = await (await fresh()).newPage();
    await stranger.goto(address.origin);
    await stranger.getByText("creel token").waitFor();
    await stranger.getByLabel("Gateway token").fill("wrong");
    await stranger.getByRole("button", { name: "Sign in" }).click();
    await stranger.getByRole("alert").waitFor();
    assert.match((await stranger.getByRole("alert").textContent()) ?? "", /token/);
    await shoot(stranger, "door");
  });
});
