// The token is in the fragment; it is sent in a body, and only when the button is pressed.
"use strict";

const form = document.querySelector("form");
const status = document.getElementById("status");
const button = form.querySelector("button");
const password = document.getElementById("password");
const token = location.hash.slice(1);

const tell = (kind, text) => {
  status.className = kind;
  status.textContent = text;
  status.focus();
};

/** Tells what is wrong with the password, beside it. */
const tellField = (text) => {
  password.setAttribute("aria-invalid", "true");
  document.getElementById("error").textContent = text;
  password.focus();
};

/** There is nothing more to press: tells where to go on, also when the page is loaded anew. */
const end = (kind, text) => {
  form.hidden = true;
  document.getElementById("next").hidden = false;
  document.getElementById("again").hidden = kind === "good";
  // The link is spent: it need not stay in the history.
  history.replaceState({ kind, text }, "", location.pathname);
  tell(kind, text);
};

const request = () => {
  const [method, path, body] = password
    ? ["PUT", "api/v1/password-resets", { token, password: password.value }]
    : ["POST", "api/v1/verifications", { token }];
  const headers = { "content-type": "application/json" };
  return fetch(path, { method, headers, body: JSON.stringify(body) });
};

const DONE = password ? "Your new password is set. You can sign in with it now." : "Your address is confirmed. You can sign in now.";
const SPENT = "This link has been used, or is too old." + (password ? "" : " If you have confirmed already, sign in.");

const refused = (problem) => {
  if (problem.type === "urn:problem:invalid-token") return end("bad", SPENT);
  const wrong = problem.errors?.find(({ field }) => field === "password");
  if (!password || !wrong) return tell("bad", problem.detail ?? problem.title);
  const advice = wrong.message.includes("common") ? ": please choose another" : "";
  return tellField(`It ${wrong.message}${advice}.`);
};

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (button.ariaDisabled === "true") return;
  tell("", "");
  password?.removeAttribute("aria-invalid");
  if (password) document.getElementById("error").textContent = "";
  if (password?.value === "") {
    tellField("Type a new password.");
    return;
  }
  // `disabled` would take the focus away.
  button.ariaDisabled = "true";
  try {
    const response = await request();
    if (response.ok) end("good", DONE);
    else refused(await response.json());
  } catch {
    tell("bad", "The service did not answer. Please try again.");
  }
  button.ariaDisabled = "false";
});

if (!token && history.state) {
  end(history.state.kind, history.state.text);
} else if (token) {
  form.hidden = false;
  (password ?? button).focus();
} else {
  end("bad", "This link is not complete. Open the whole link from the email.");
}

/** The service's name, as it tells it. */
const name = async () => {
  const version = await (await fetch("version")).json();
  document.getElementById("home").textContent = version.name.charAt(0).toUpperCase() + version.name.slice(1);
};
name().catch(() => {});
