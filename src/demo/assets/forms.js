// Forms: errors are shown beside their fields, and read out by screen readers.

import { el } from "./dom.js";
import { Problem } from "./api.js";

const sentence = ({ message }) => `${message}${message.includes("most common") ? ". Please choose another" : ""}.`;

/** Shows a problem in a live region: its message, the request id of a server error, and its hint. */
export const showProblem = (where, problem) => {
  if (!(problem instanceof Problem)) throw problem;
  const wait = problem.status === 429 && problem.retryAfter ? ` Try again in ${Math.ceil(problem.retryAfter / 60)} min.` : "";
  // For a search in the logs.
  const id = problem.status >= 500 && problem.requestId && el("small", {}, "Request ", el("code", {}, problem.requestId));
  const fields = problem.errors.map((error) => `The ${error.field} ${sentence(error)}`);
  // The errors of fields are clearer than the general message.
  const texts = fields.length ? fields : [problem.message + wait];
  where.replaceChildren(...[texts.join(" "), id, problem.hint].filter(Boolean));
  where.scrollIntoView({ block: "nearest" });
};

const clear = (form) => {
  for (const line of form.querySelectorAll(".error, .trouble, .done")) line.replaceChildren();
  for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
};

const showError = (input, text) => {
  input.setAttribute("aria-invalid", "true");
  document.getElementById(`${input.id}-error`).textContent = text;
};

const sender = (form) => form.querySelector("button:not([type])");

const show = (form, problem) => {
  const shown = [];
  const current = form.elements.namedItem("current_password");
  if (current && problem.type === "urn:problem:wrong-password") {
    showError(current, "It is not your current password.");
    return current.focus();
  }
  for (const error of problem.errors ?? []) {
    const input = form.elements.namedItem(error.field);
    if (!input) continue;
    showError(input, `It ${sentence(error)}`);
    shown.push(input);
  }
  if (!shown.length || shown.length < problem.errors.length) showProblem(form.querySelector(".trouble"), problem);
  (shown[0] ?? sender(form)).focus();
};

/** Shows an error at each required field that is empty; returns whether there is any. */
const missing = (form) => {
  const empty = [...form.querySelectorAll("[data-missing]")].filter((input) => !(input.type === "password" ? input.value : input.value.trim()));
  for (const input of empty) showError(input, input.dataset.missing);
  empty[0]?.focus();
  return empty.length > 0;
};

/** Adds an error line after each field, linked by aria-describedby. */
const prepare = (form) => {
  for (const input of form.querySelectorAll("input:not([hidden], [type=file]), textarea")) {
    const hint = document.getElementById(`${input.id}-hint`);
    const error = el("p", { class: "error", id: `${input.id}-error` });
    (hint ?? input).after(error);
    input.setAttribute("aria-describedby", [hint?.id, error.id].filter(Boolean).join(" "));
  }
  const buttons = [...form.querySelectorAll(".row")].at(-1);
  buttons.before(el("div", { class: "trouble", role: "alert" }));
  buttons.after(el("p", { class: "done", role: "status" }));
};

/**
 * Calls `act` with the values of a form when it is submitted, one submission at a time. `act` shows progress with its
 * second parameter; the form shows the message that it returns.
 */
export const wire = (form, act) => {
  prepare(form);
  const send = sender(form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (form.ariaBusy === "true") return;
    clear(form);
    if (missing(form)) return;
    form.ariaBusy = "true";
    // `disabled` would take the focus away.
    send.setAttribute("aria-disabled", "true");
    const say = (text = "") => { form.querySelector(".done").textContent = text; };
    try {
      say(await act(Object.fromEntries(new FormData(form)), say));
    } catch (problem) {
      say();
      show(form, problem);
    } finally {
      form.ariaBusy = "false";
      send.removeAttribute("aria-disabled");
    }
  });
  // A field that is edited loses its error.
  form.addEventListener("input", ({ target }) => {
    if (!target.hasAttribute("aria-invalid")) return;
    target.removeAttribute("aria-invalid");
    document.getElementById(`${target.id}-error`).replaceChildren();
  });
  return { clear: () => clear(form), show: (problem) => show(form, problem) };
};
