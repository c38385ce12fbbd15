// The page: which part of it is shown, and to whom.

import { $ } from "./dom.js";
import { call, on } from "./api.js";
import { fillAddress, memory, ownerForms, showDevices, signedOutForms } from "./account.js";
import { setSignedIn, start } from "./factors.js";
import { isEditing } from "./editor.js";
import { forget, hasNotes, isTyping, load } from "./notes.js";

const VIEWS = ["sign-up", "letter", "sign-in", "forgot", "notes"];
let signedIn = false;

let shown;
let tour = memory.get("toured");
/** Where in the journey somebody is; the last step is over when an instance is gone and others have gone on. */
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

/** Shows one view; whoever reads with the keyboard or by ear goes on at its title. */
const show = (view, { focus = true } = {}) => {
  for (const part of document.querySelectorAll("[data-view]")) part.hidden = part.dataset.view !== view;
  $("welcome").hidden = view === "notes";
  $("who").hidden = view !== "notes";
  shown = view;
  showStep();
  if (focus) document.querySelector(`[data-view="${view}"] [tabindex="-1"]`).focus();
};

/** Shows what the address asks for, as far as it can be shown to whoever is there. */
const follow = (options) => {
  const asked = location.hash.slice(1);
  // Places of the page leave the view as it is.
  if (shown && ["factors", "viii", "main"].includes(asked)) return;
  if (signedIn) show("notes", options);
  else if (VIEWS.slice(0, 4).includes(asked)) show(asked, options);
  else show(memory.get("known") || memory.get("email") ? "sign-in" : "sign-up", options);
};

let saying = "";
const go = (view, message = "") => {
  saying = message;
  if (location.hash === `#${view}`) arrive();
  else location.hash = view;
};
const arrive = () => {
  $("message").textContent = saying;
  saying = "";
  follow();
};

const greet = async (options) => {
  const { body } = await call("GET", "accounts/current");
  signedIn = true;
  memory.set("signed-in", "yes");
  memory.set("known", "yes");
  $("who-email").textContent = body.email;
  // For managers of passwords, which ask whose a password is.
  for (const field of document.querySelectorAll("[name=username]")) field.defaultValue = body.email;
  $("message").textContent = "";
  history.replaceState(null, "", location.pathname);
  show("notes", options);
  await Promise.all([load(), setSignedIn(true)]);
};

const signedOut = (message, known = $("who-email").textContent) => {
  if (!signedIn) return;
  signedIn = false;
  memory.set("signed-in", null);
  forget();
  document.querySelectorAll("dialog[open]").forEach((dialog) => dialog.close());
  // With the session the browser clears its storage, at its leisure: then it is told again what helps whoever comes.
  const remember = () => {
    memory.set("known", known ? "yes" : null);
    memory.set("toured", tour);
  };
  remember();
  setTimeout(remember, 1_000);
  fillAddress(known);
  history.replaceState(null, "", "#sign-in");
  show("sign-in");
  $("message").textContent = message;
  setSignedIn(false);
};

const ELSEWHERE = "You have been signed out: on another device, or because the time was up.";

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
document.addEventListener("notes", showStep);
document.addEventListener("survived", toured);
// Signed in in another tab, by the same cookie.
addEventListener("storage", ({ key, newValue }) => {
  if (key === "signed-in" && newValue && !signedIn) greet({ focus: false }).catch(() => {});
});
addEventListener("hashchange", arrive);
addEventListener("beforeunload", (event) => {
  if (isTyping() || isEditing()) event.preventDefault();
});

fillAddress();
const begin = async () => {
  try {
    if (memory.get("signed-in")) return await greet({ focus: false });
  } catch (problem) {
    if (problem.status !== 401) {
      // The service does not know now who is there, but will.
      $("message").textContent = `${problem.message} If you were signed in, you still are: this page tries again by itself.`;
      setTimeout(begin, 3_000);
      return;
    }
    memory.set("signed-in", null);
  }
  follow({ focus: false });
};
setSignedIn(false);
begin();
