// Forms: what was wrong stands beside the field it is about, and is read out.

import { el } from "./dom.js";
import { Problem } from "./api.js";

const sentence = ({ message }) => `${message}${message.includes("most common") ? ". Please choose another" : ""}.`;

/** Shows a problem in an element that is read out: its sentence, its id for whoever looks into the logs, its hint. */
export const showProblem = (where, problem) => {
  if (!(problem instanceof Problem)) throw problem;
  const wait = problem.status === 429 && problem.retryAfter ? ` Try again in ${Math.ceil(problem.retryAfter / 60)} min.` : "";
  // What went wrong on the other side is looked for in the logs by this.
  const id = problem.status >= 500 && problem.requestId && el("small", {}, "Request ", el("code", {}, problem.requestId));
  const fields = problem.errors.map((error) => `The ${error.field} ${sentence(error)}`);
  // Fields that are known to be wrong say it better than that some are.
  const said = fields.length ? fields : [problem.message + wait];
  where.replaceChildren(...[said.join(" "), id, problem.hint].filter(Boolean));
  where.scrollIntoView({ block: "nearest" });
};

const clear = (form) => {
  for (const line of form.querySelectorAll(".error, .trouble, .done")) line.replaceChildren();
  for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
};

const tellField = (input, text) => {
  input.setAttribute("aria-invalid", "true");
  document.getElementById(`${input.id}-error`).textContent = text;
};

const sender = (form) => form.querySelector("button:not([type])");

const show = (form, problem) => {
  const told = [];
  const current = form.elements.namedItem("current_password");
  if (current && problem.type === "urn:problem:wrong-password") {
    tellField(current, "It is not your current password.");
    return current.focus();
  }
  for (const error of problem.errors ?? []) {
    const input = form.elements.namedItem(error.field);
    if (!input) continue;
    tellField(input, `It ${sentence(error)}`);
    told.push(input);
  }
  if (!told.length || told.length < problem.errors.length) showProblem(form.querySelector(".trouble"), problem);
  (told[0] ?? sender(form)).focus();
};

/** Tells at each field that must not be empty that it is; whether there is any. */
const missing = (form) => {
  const empty = [...form.querySelectorAll("[data-missing]")].filter((input) => !(input.type === "password" ? input.value : input.value.trim()));
  for (const input of empty) tellField(input, input.dataset.missing);
  empty[0]?.focus();
  return empty.length > 0;
};

/** Puts a line for its error after each field, and says so to those who hear it. */
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
 * Has a form do `act` with its fields' values, once at a time. What `act` hands to its second parameter is said
 * meanwhile; what it returns, when it is done.
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
  // What is being put right is not wrong any more.
  form.addEventListener("input", ({ target }) => {
    if (!target.hasAttribute("aria-invalid")) return;
    target.removeAttribute("aria-invalid");
    document.getElementById(`${target.id}-error`).replaceChildren();
  });
  return { clear: () => clear(form), show: (problem) => show(form, problem), missing: () => missing(form) };
};
