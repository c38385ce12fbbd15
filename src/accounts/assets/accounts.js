// The token is in the fragment; it is sent in a request body, only when the button is pressed.
"use strict";

const form = document.querySelector("form");
const status = document.getElementById("status");
const button = form.querySelector("button");
const password = document.getElementById("password");
const token = location.hash.slice(1);

const show = (kind, text) => {
  status.className = kind;
  status.textContent = text;
  status.focus();
};

/** Shows an error beside the password. */
const showError = (text) => {
  password.setAttribute("aria-invalid", "true");
  document.getElementById("error").textContent = text;
  password.focus();
};

/** Replaces the form by a message and links, also when the page is reloaded. */
const finish = (kind, text) => {
  form.hidden = true;
  document.getElementById("next").hidden = false;
  document.getElementById("again").hidden = kind === "good";
  // The link has been used: remove it from the history.
  history.replaceState({ kind, text }, "", location.pathname);
  show(kind, text);
};

const request = () => {
  const [method, path, body] = password
    ? ["PUT", "api/v1/password-resets", { token, password: password.value }]
    : ["POST", "api/v1/verifications", { token }];
  const headers = { "content-type": "application/json" };
  return fetch(path, { method, headers, body: JSON.stringify(body) });
};

const DONE = password ? "Your new password is set. You can sign in with it now." : "Your email address is confirmed. You can sign in now.";
const EXPIRED = "This link has been used or has expired." + (password ? "" : " If you have pressed Confirm before, it worked: sign in.");

const rejected = (problem) => {
  if (problem.type === "urn:problem:invalid-token") return finish("bad", EXPIRED);
  const wrong = problem.errors?.find(({ field }) => field === "password");
  if (!password || !wrong) return show("bad", problem.detail ?? problem.title);
  const advice = wrong.message.includes("common") ? ": please choose another" : "";
  return showError(`It ${wrong.message}${advice}.`);
};

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (button.ariaDisabled === "true") return;
  show("", "");
  password?.removeAttribute("aria-invalid");
  if (password) document.getElementById("error").textContent = "";
  if (password?.value === "") {
    showError("Type a new password.");
    return;
  }
  // `disabled` would take the focus away.
  button.ariaDisabled = "true";
  try {
    const response = await request();
    if (response.ok) finish("good", DONE);
    else rejected(await response.json());
  } catch {
    show("bad", "The service did not respond. Please try again.");
  }
  button.ariaDisabled = "false";
});

if (!token && history.state) {
  finish(history.state.kind, history.state.text);
} else if (token) {
  form.hidden = false;
  (password ?? button).focus();
} else {
  finish("bad", "This link is incomplete. Open the whole link in the email.");
}

/** The name of the service, from /version. */
const name = async () => {
  const version = await (await fetch("version")).json();
  document.getElementById("home").textContent = version.name.charAt(0).toUpperCase() + version.name.slice(1);
};
name().catch(() => {});
