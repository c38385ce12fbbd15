// The page: which view it shows.

import { $ } from "./dom.js";
import { actAs, call, on } from "./api.js";
import { fillEmail, memory, ownerForms, showDevices, signedOutForms } from "./account.js";
import { setSignedIn, start } from "./factors.js";
import { edited, isEditing, reopen } from "./editor.js";
import { clear, hasNotes, isTyping, load, restore, typed } from "./notes.js";

const VIEWS = ["sign-up", "check-email", "sign-in", "forgot", "notes"];
let signedIn = false;

let shown;
let tour = memory.get("toured");
/** Shows the current step of the tour; the last one is done when an instance is gone and no request failed. */
const showStep = () => {
  const at = shown === "notes" ? 2 + hasNotes() : Math.min(VIEWS.indexOf(shown), 2);
  $("steps").hidden = shown === "notes" && tour === "yes";
  [...$("steps").children].forEach((step, index) => {
    step.classList.toggle("past", index < at);
    if (index === at) step.setAttribute("aria-current", "step");
    else step.removeAttribute("aria-current");
  });
};
const toured = () => {
  tour = "yes";
  memory.set("toured", tour);
  showStep();
};

/** Shows a view, and focuses its title for keyboards and screen readers. */
const show = (view, { focus = true } = {}) => {
  for (const part of document.querySelectorAll("[data-view]")) part.hidden = part.dataset.view !== view;
  $("welcome").hidden = view === "notes";
  $("who").hidden = view !== "notes";
  shown = view;
  showStep();
  if (focus) document.querySelector(`[data-view="${view}"] [tabindex="-1"]`).focus();
};

/** Shows the view in the URL's fragment, if it fits the state of the session. */
const follow = (options) => {
  const view = location.hash.slice(1);
  // These are anchors, not views.
  if (shown && ["factors", "viii", "main"].includes(view)) return;
  if (signedIn) show("notes", options);
  else if (VIEWS.slice(0, 4).includes(view)) show(view, options);
  else show(memory.get("known") || memory.get("email") ? "sign-in" : "sign-up", options);
};

let nextMessage = "";
const go = (view, message = "") => {
  nextMessage = message;
  if (location.hash === `#${view}`) arrive();
  else location.hash = view;
};
const arrive = () => {
  $("message").textContent = nextMessage;
  nextMessage = "";
  follow();
};

/** The unsaved text of an account that was signed out while somebody wrote. */
let draft = null;
let account = null;

const greet = async (options) => {
  const { body } = await call("GET", "accounts/current");
  actAs(body.id);
  account = body.id;
  signedIn = true;
  memory.set("signed-in", "yes");
  memory.set("known", "yes");
  $("who-email").textContent = body.email;
  // Password managers need the username beside a password.
  for (const field of document.querySelectorAll("[name=username]")) field.defaultValue = body.email;
  $("message").textContent = "";
  history.replaceState(null, "", location.pathname);
  show("notes", options);
  await Promise.all([load(), setSignedIn(true)]);
  if (draft?.account === account) {
    restore(draft.typed);
    if (draft.edited) reopen(draft.edited);
  }
  draft = null;
};

const signedOut = (message, known = $("who-email").textContent) => {
  if (!signedIn) return;
  signedIn = false;
  draft = { account, typed: isTyping() && typed(), edited: isEditing() && edited() };
  actAs(null);
  memory.set("signed-in", null);
  clear();
  document.querySelectorAll("dialog[open]").forEach((dialog) => dialog.close());
  // Clear-Site-Data clears the storage, some time after the response: store this again.
  const remember = () => {
    memory.set("known", known ? "yes" : null);
    memory.set("toured", tour);
  };
  remember();
  setTimeout(remember, 1_000);
  fillEmail(known);
  history.replaceState(null, "", "#sign-in");
  show("sign-in");
  $("message").textContent = message;
  setSignedIn(false);
};

const ELSEWHERE = "You have been signed out, from another device or because the session expired.";

signedOutForms({ go, signedIn: () => greet() });
ownerForms({ signedOut, devicesChanged: () => setSignedIn(true) });
start({
  version: ({ name }) => {
    $("name").textContent = name.charAt(0).toUpperCase() + name.slice(1);
  },
  sessions: (sessions) => showDevices(sessions.map(({ device }) => device), () => setSignedIn(true)),
  signedOut: () => signedOut(ELSEWHERE),
});
on("signed-out", () => signedOut(ELSEWHERE));
on("account-mismatch", () => {
  if (!signedIn) return;
  signedOut("");
  greet({ focus: false }).catch(() => {});
});
document.addEventListener("notes", showStep);
document.addEventListener("survived", toured);
// Another tab has signed in, with the same cookie.
addEventListener("storage", ({ key, newValue }) => {
  if (key === "signed-in" && newValue && !signedIn) greet({ focus: false }).catch(() => {});
});
addEventListener("hashchange", arrive);
addEventListener("beforeunload", (event) => {
  if (isTyping() || isEditing()) event.preventDefault();
});

fillEmail();
const begin = async () => {
  try {
    if (memory.get("signed-in")) return await greet({ focus: false });
  } catch (problem) {
    if (problem.status !== 401) {
      // The service cannot read the session now: try again.
      $("message").textContent = `${problem.message} You are still signed in: this page tries again by itself.`;
      setTimeout(begin, 3_000);
      return;
    }
    memory.set("signed-in", null);
  }
  follow({ focus: false });
};
setSignedIn(false);
begin();
