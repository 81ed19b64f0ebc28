import { render } from "preact";
import { firstPage, type Page } from "./page";
import { openDesk } from "./socket";
import "./style/index.css";
import * as token from "./token";
import { App } from "./view/app";

const root = document.getElementById("page");
if (!root) throw new Error("index.html has no #page element.");

const given = token.takeFromAddress();
let drawing = false;

const draw = (page: Page) => render(<App page={page} tell={desk.tell} />, root);
/** At most one drawing per frame, however fast the tokens come. A hidden tab draws when it is looked at again. */
const soon = () => {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    draw(desk.page());
  });
};

const desk = openDesk(firstPage(token.freshId(), given.session), soon);
draw(desk.page());
if (given.token) desk.tell({ kind: "sign-in", token: given.token });

// A link with a token or a conversation, pasted into this very tab.
addEventListener("hashchange", () => {
  const { token: fresh, session } = token.takeFromAddress();
  if (fresh && fresh !== desk.page().token) desk.tell({ kind: "sign-in", token: fresh });
  if (session && session !== desk.page().selected) desk.tell({ kind: "select", key: session });
});
