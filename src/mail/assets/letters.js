// The token is in the fragment; it is sent in a body, and only when the button is pressed.
"use strict";

const form = document.querySelector("form");
const status = document.getElementById("status");
const button = form.querySelector("button");
const password = document.getElementById("password");
const token = location.hash.slice(1);

const tell = (text) => {
  status.textContent = text;
  status.focus();
};

const request = () => {
  const [method, path, body] = password
    ? ["PUT", "api/v1/password-resets", { token, password: password.value }]
    : ["POST", "api/v1/verifications", { token }];
  const headers = { "content-type": "application/json" };
  return fetch(path, { method, headers, body: JSON.stringify(body) });
};

const done = () => {
  form.hidden = true;
  document.getElementById("next").hidden = false;
  // The link is spent: it need not stay in the history.
  history.replaceState(null, "", location.pathname);
  tell(password ? "Your new password is set. You can sign in with it now." : "Your address is confirmed. You can sign in now.");
};

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  try {
    const response = await request();
    if (response.ok) {
      done();
    } else {
      const problem = await response.json();
      const details = (problem.errors ?? []).map((error) => `${error.field} ${error.message}`);
      tell([problem.detail ?? problem.title, ...details].join(" "));
    }
  } catch {
    tell("The service did not answer. Please try again.");
  }
  button.disabled = false;
});

if (token) {
  form.hidden = false;
  (password ?? button).focus();
} else {
  tell("This link is not complete. Open the whole link from the letter.");
}
