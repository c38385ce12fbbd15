// The token is in the fragment; it is sent in a request body, only when the button is pressed. Mail gateways may drop the
// fragment of a link: then the link or the code, which is the token, is pasted from the email.
"use strict";

const form = document.querySelector("form");
const status = document.getElementById("status");
const button = form.querySelector("button");
const code = document.getElementById("code");
const password = document.getElementById("password");

/** The token in a link or a code. Undefined: there is none. */
const tokenIn = (text) => text.trim().match(/^(?:\S*#)?([\w-]{43})$/)?.[1];
const fromLink = tokenIn(location.hash);

const show = (kind, text) => {
  status.className = kind;
  status.textContent = text;
  status.focus();
};

/** Shows an error beside its field. */
const showError = (field, text) => {
  field.setAttribute("aria-invalid", "true");
  document.getElementById(`${field.id}-error`).textContent = text;
  field.focus();
};

const clear = () => {
  show("", "");
  for (const field of form.querySelectorAll("input")) field.removeAttribute("aria-invalid");
  for (const error of form.querySelectorAll(".error")) error.textContent = "";
};

/** Replaces the form by a message and links, also when the page is reloaded. */
const finish = (kind, text) => {
  const again = document.getElementById("again");
  form.hidden = true;
  document.getElementById("next").hidden = false;
  if (again) again.hidden = kind === "good";
  // The link has been used: remove it from the history.
  history.replaceState({ kind, text }, "", location.pathname);
  show(kind, text);
};

const request = (token) => {
  const [method, path] = form.dataset.request.split(" ");
  const body = JSON.stringify(password ? { token, password: password.value } : { token });
  return fetch(path, { method, headers: { "content-type": "application/json" }, body });
};

const rejected = (problem) => {
  if (problem.type === "urn:problem:invalid-token") return finish("bad", form.dataset.expired);
  const wrong = problem.errors?.find(({ field }) => field === "password");
  if (!password || !wrong) return show("bad", problem.detail ?? problem.title);
  const advice = wrong.message.includes("common") ? ": please choose another" : "";
  return showError(password, `It ${wrong.message}${advice}.`);
};

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (button.ariaDisabled === "true") return;
  clear();
  const token = fromLink ?? tokenIn(code.value);
  if (!token) return showError(code, "Paste the whole link from the email, or its code.");
  if (password?.value === "") return showError(password, "Type a new password.");
  // `disabled` would take the focus away.
  button.ariaDisabled = "true";
  try {
    const response = await request(token);
    if (response.ok) finish("good", form.dataset.done);
    else rejected(await response.json());
  } catch {
    show("bad", "The service did not respond. Please try again.");
  }
  button.ariaDisabled = "false";
});

// Opening another link of this page changes only the fragment.
addEventListener("hashchange", () => location.reload());

if (!fromLink && history.state) {
  finish(history.state.kind, history.state.text);
} else {
  form.hidden = false;
  document.getElementById("paste").hidden = Boolean(fromLink);
  (fromLink ? password ?? button : code).focus();
}

/** The name of the service, from /version. */
const name = async () => {
  const version = await (await fetch("version")).json();
  document.getElementById("home").textContent = version.name.charAt(0).toUpperCase() + version.name.slice(1);
};
name().catch(() => {});
