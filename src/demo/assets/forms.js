// Forms: what was wrong stands beside the field it is about, and is read out.

import { el } from "./dom.js";
import { Problem } from "./api.js";

/** Shows a problem in an element that is read out: its sentence, and its id for whoever looks into the logs. */
export const showProblem = (where, problem, more = []) => {
  if (!(problem instanceof Problem)) throw problem;
  const wait = problem.status === 429 && problem.retryAfter ? ` Try again in ${Math.ceil(problem.retryAfter / 60)} min.` : "";
  const id = problem.requestId && el("small", {}, "Request ", el("code", {}, problem.requestId));
  where.replaceChildren(...[[problem.message + wait, ...more].join(" "), id].filter(Boolean));
};

const clear = (form) => {
  for (const line of form.querySelectorAll(".error, .trouble, .done")) line.replaceChildren();
  for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
};

const show = (form, problem) => {
  const rest = [];
  let first;
  for (const { field, message } of problem.errors ?? []) {
    const input = form.elements.namedItem(field);
    if (!input) {
      rest.push(`${field} ${message}.`);
      continue;
    }
    input.setAttribute("aria-invalid", "true");
    form.querySelector(`#${input.id}-error`).textContent = `It ${message}.`;
    first ??= input;
  }
  showProblem(form.querySelector(".trouble"), problem, rest);
  (first ?? form.querySelector("button")).focus();
};

/** Puts a line for its error after each field, and says so to those who hear it. */
const prepare = (form) => {
  for (const input of form.querySelectorAll("input:not([hidden]), textarea")) {
    const hint = document.getElementById(`${input.id}-hint`);
    const error = el("p", { class: "error", id: `${input.id}-error` });
    (hint ?? input).after(error);
    input.setAttribute("aria-describedby", [hint?.id, error.id].filter(Boolean).join(" "));
  }
  const buttons = [...form.querySelectorAll(".row")].at(-1);
  buttons.before(el("div", { class: "trouble", role: "alert" }));
  buttons.after(el("p", { class: "done", role: "status" }));
};

/** Has a form do `act` with its fields' values, once at a time. What `act` returns is said when it is done. */
export const wire = (form, act) => {
  prepare(form);
  const send = form.querySelector("button:not([type])");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (form.ariaBusy === "true") return;
    form.ariaBusy = "true";
    // `disabled` would take the focus away.
    send.setAttribute("aria-disabled", "true");
    clear(form);
    try {
      const done = await act(Object.fromEntries(new FormData(form)));
      if (done) form.querySelector(".done").textContent = done;
    } catch (problem) {
      show(form, problem);
    } finally {
      form.ariaBusy = "false";
      send.removeAttribute("aria-disabled");
    }
  });
  return { clear: () => clear(form) };
};
