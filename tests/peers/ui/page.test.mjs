// The page at / in a real browser against a real Creel whose model streams, calls one tool and answers.
//   CREEL_URL='http://127.0.0.1:18789/#token=…' npm run test:ui
// Also read: CREEL_SAY (the message, "hello"), CHROMIUM (/usr/bin/chromium), CREEL_SHOTS (a folder for pictures).

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
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
const ANSWER_MS = 30_000;

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
const isLive = (page) => page.waitForSelector(".connection.live", { timeout: 10_000, state: "attached" });
const field = (page) => page.getByRole("textbox", { name: "Message" });

/** The texts of the conversation, without times. */
const texts = (page) => page.$$eval(".bubble, .prose, .tool .name", (nodes) => nodes.map((n) => n.textContent));

describe("the page", () => {
  let browser;
  let context;
  let page;
  let seen;
  let session;

  before(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGS });
    context = await browser.newContext({ viewport: { width: 1280, height: 860 } });
    seen = watch(context);
    page = await context.newPage();
  });
  after(() => browser?.close());

  it("opens with the token of the address and takes it out of sight", async () => {
    const response = await page.goto(CREEL_URL);
    assert.match(response.headers()["content-security-policy"] ?? "", /default-src 'self'/);
    await isLive(page);
    assert.ok(!page.url().includes(token), "the token must leave the address bar");
    assert.ok(!seen.urls.some((url) => url.includes(token)), "no request may carry the token in its address");
  });

  it("streams an answer, with the tool that ran", async () => {
    // A conversation of its own, so that the test can be run again on the same Creel.
    await page.keyboard.press("Alt+n");
    await page.getByRole("heading", { name: "What shall we do?" }).waitFor();
    session = page.url();

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
    assert.equal(await field(page).inputValue(), "");

    await page.locator(".tool").first().waitFor({ timeout: ANSWER_MS });
    await page.locator(".reply.done footer").waitFor({ timeout: ANSWER_MS });
    await page.getByRole("button", { name: "Stop" }).waitFor({ state: "detached", timeout: ANSWER_MS });
    const steps = await page.evaluate(() => window.lengths.size);
    assert.ok(steps >= 2, `the answer must grow on the page; it was drawn ${steps} times`);

    const answer = (await page.locator(".reply .prose").last().textContent()) ?? "";
    assert.notEqual(answer.trim(), "");
    assert.notEqual((await page.locator("#spoken").textContent())?.trim(), "", "a screen reader hears the answer");
    assert.equal(await page.locator(".tool.running").count(), 0);
    await shoot(page, "answer");
  });

  it("opens a tool card", async () => {
    const card = page.locator(".tool").first();
    await card.locator("summary").press("Enter");
    await card.getByText("Output", { exact: true }).waitFor();
    await card.locator("summary").press("Enter");
  });

  it("keeps the conversation over a reload", async () => {
    const before = await texts(page);
    await page.reload();
    await isLive(page);
    assert.equal(page.url(), session, "the conversation stays in the address");
    await page.locator(".bubble", { hasText: CREEL_SAY }).waitFor();
    assert.deepEqual(await texts(page), before);
  });

  it("obeys the keyboard", async () => {
    await page.locator("h1").click();
    await page.keyboard.press("/");
    await assertFocused(page, "TEXTAREA");
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

    await page.keyboard.press("Alt+n");
    await page.waitForURL((url) => url.href !== session);
    await page.keyboard.press("Alt+ArrowDown");
    await page.keyboard.press("Control+k");
    const rows = page.getByRole("option");
    await rows.first().waitFor();
    assert.ok((await rows.count()) >= 1);
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await assertFocused(page, "TEXTAREA");
  });

  it("stops a run with Escape", async () => {
    await page.keyboard.press("Alt+n");
    await page.getByRole("heading", { name: "What shall we do?" }).waitFor();
    await field(page).fill(CREEL_SAY);
    await field(page).press("Enter");
    await page.locator(".bubble").waitFor();
    await field(page).press("Escape");
    await page.getByRole("button", { name: "Stop" }).waitFor({ state: "detached", timeout: ANSWER_MS });
    assert.equal(await page.locator(".failure").count(), 0);
  });

  it("comes back by itself when the gateway goes away, and sends what was written meanwhile", async () => {
    const away = await browser.newContext({ viewport: { width: 1280, height: 860 } });
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
    await other.keyboard.press("Alt+n");
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
    await other.locator(".reply.done footer").waitFor({ timeout: ANSWER_MS });
    assert.equal(await other.locator(".said").count(), 1);
    await away.close();
  });

  it("fits a narrow phone, in light and dark", async () => {
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await page.setViewportSize({ width: 360, height: 740 });
      const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wider <= 0, `the page is ${wider} px too wide`);
      await page.getByRole("button", { name: "Conversations", exact: true }).click();
      await page.getByRole("navigation").waitFor();
      await shoot(page, `phone-${colorScheme}`);
      await page.keyboard.press("Escape");
    }
  });

  it("made no error and asked no other host", () => {
    assert.deepEqual(seen.errors, []);
    assert.deepEqual([...seen.hosts], [address.host]);
  });

  it("asks for the token without one, and says so when it is wrong", async () => {
    const stranger = await (await browser.newContext()).newPage();
    await stranger.goto(address.origin);
    await stranger.getByText("creel token").waitFor();
    await stranger.getByLabel("Gateway token").fill("wrong");
    await stranger.getByRole("button", { name: "Sign in" }).click();
    await stranger.getByRole("alert").waitFor();
    assert.match((await stranger.getByRole("alert").textContent()) ?? "", /token/);
    await shoot(stranger, "door");
  });
});

async function assertFocused(page, tag) {
  await page.waitForFunction((name) => document.activeElement?.tagName === name, tag, { timeout: 3_000 });
}
