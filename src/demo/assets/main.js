// The page: which part of it is shown, and to whom.

import { $ } from "./dom.js";
import { call, on } from "./api.js";
import { memory, ownerForms, showDevices, signedOutForms } from "./account.js";
import { setSignedIn, start } from "./factors.js";
import { forget, load } from "./notes.js";

const VIEWS = ["sign-up", "letter", "sign-in", "forgot", "notes"];
let signedIn = false;

/** Shows one view; whoever reads with the keyboard or by ear goes on at its title. */
const show = (view, { focus = true } = {}) => {
  for (const part of document.querySelectorAll("[data-view]")) part.hidden = part.dataset.view !== view;
  $("welcome").hidden = view === "notes";
  $("who").hidden = view !== "notes";
  for (const step of document.querySelectorAll(".steps li")) {
    const at = VIEWS.indexOf(step.dataset.step) - VIEWS.indexOf(view === "forgot" ? "sign-in" : view);
    step.classList.toggle("past", at < 0 && Boolean(step.dataset.step));
    if (at === 0) step.setAttribute("aria-current", "step");
    else step.removeAttribute("aria-current");
  }
  if (focus) document.querySelector(`[data-view="${view}"] [tabindex="-1"]`).focus();
};

/** Shows what the address asks for, as far as it can be shown to whoever is there. */
const follow = (options) => {
  const asked = location.hash.slice(1);
  if (asked === "factors" || asked === "main") return;
  if (signedIn) show("notes", options);
  else if (VIEWS.slice(0, 4).includes(asked)) show(asked, options);
  else show(memory.get("email") ? "sign-in" : "sign-up", options);
};

const go = (view) => {
  $("message").textContent = "";
  if (location.hash === `#${view}`) show(view);
  else location.hash = view;
};

const greet = async (options) => {
  const { body } = await call("GET", "accounts/current");
  signedIn = true;
  memory.set("signed-in", "yes");
  $("who-email").textContent = body.email;
  // For managers of passwords, which ask whose a password is.
  for (const field of document.querySelectorAll("[name=username]")) field.defaultValue = body.email;
  $("message").textContent = "";
  history.replaceState(null, "", location.pathname);
  show("notes", options);
  await Promise.all([load(), setSignedIn(true)]);
};

const signedOut = (message) => {
  if (!signedIn) return;
  signedIn = false;
  memory.set("signed-in", null);
  forget();
  document.querySelectorAll("dialog[open]").forEach((dialog) => dialog.close());
  fillAddress();
  history.replaceState(null, "", "#sign-in");
  show("sign-in");
  $("message").textContent = message;
  setSignedIn(false);
};

const fillAddress = () => {
  const email = memory.get("email") ?? "";
  $("email").value = email;
  if (email) $("letter-email").textContent = email;
};

const ELSEWHERE = "You have been signed out: on another device, or because the time was up.";

signedOutForms({ go, signedIn: () => greet() });
ownerForms({ signedOut, devicesChanged: () => setSignedIn(true) });
start({
  version: ({ name }) => {
    $("name").textContent = name.charAt(0).toUpperCase() + name.slice(1);
  },
  sessions: (sessions) => showDevices(sessions, () => setSignedIn(true)),
  signedOut: () => signedOut(ELSEWHERE),
});
on("signed-out", () => signedOut(ELSEWHERE));
addEventListener("hashchange", () => {
  $("message").textContent = "";
  follow();
});

fillAddress();
try {
  if (memory.get("signed-in")) await greet({ focus: false });
} catch (problem) {
  if (problem.status === 401) memory.set("signed-in", null);
  else $("message").textContent = problem.message;
}
if (!signedIn) {
  follow({ focus: false });
  setSignedIn(false);
}
