// The account: sign-up, sign-in, password reset, devices, and changes by its owner.

import { $, button, count, device, el, since } from "./dom.js";
import { call } from "./api.js";
import { showProblem, wire } from "./forms.js";

/**
 * Local storage: the email, and whether this browser is signed in, as scripts cannot read the cookie and a request
 * without a session logs an error in the console. Where storage is blocked, nothing is stored.
 */
export const memory = {
  get(key) {
    try {
      return localStorage.getItem(key);
    } catch {
      return null;
    }
  },
  set(key, value) {
    try {
      if (value == null) localStorage.removeItem(key);
      else localStorage.setItem(key, value);
    } catch {
      // Only a convenience: ignore it.
    }
  },
};

const EMAIL_FIELDS = ["new-email", "email", "forgot-email"].map($);
/** Fills the email into every form of a signed-out visitor. */
export const fillEmail = (email = memory.get("email") ?? "") => {
  for (const field of EMAIL_FIELDS) {
    if (field.value !== email) field.value = email;
  }
  $("sent-to").textContent = email || "your email address";
};

/** Wires the forms for signed-out visitors. */
export const signedOutForms = ({ go, signedIn }) => {
  for (const field of EMAIL_FIELDS) field.addEventListener("input", () => fillEmail(field.value));
  const unconfirmed = el("div", {}, $("unconfirmed").content);
  for (const where of document.querySelectorAll("[data-where]")) where.append($("where").content.cloneNode(true));
  const local = ["localhost", "127.0.0.1"].includes(location.hostname);
  for (const part of [...document.querySelectorAll(".local"), ...unconfirmed.querySelectorAll(".local")]) part.hidden = !local;
  for (const part of document.querySelectorAll(".remote")) part.hidden = local;

  const signUp = async ({ email }) => {
    await call("POST", "accounts", { json: { email } });
    memory.set("email", email.trim());
    fillEmail();
  };
  wire($("sign-up-form"), async (values) => {
    await signUp(values);
    go("check-email");
  });
  wire($("again-form"), async () => {
    const email = $("new-email").value;
    if (!email) return go("sign-up", "Type your email address again.");
    await signUp({ email });
    // The response does not reveal whether the service sent one.
    return "If the last email is more than 10 minutes old, we have sent another. Each link works until one is used.";
  });

  const form = wire($("sign-in-form"), async ({ email, password }) => {
    try {
      await call("POST", "sessions", { json: { email, password } });
    } catch (problem) {
      if (problem.type === "urn:problem:wrong-credentials") problem.hint = unconfirmed;
      throw problem;
    }
    memory.set("email", email.trim());
    $("password").value = "";
    await signedIn();
  });
  // The response is the same for every email address: whether it has an account is only in the email.
  unconfirmed.querySelector("button").addEventListener("click", async () => {
    form.clear();
    try {
      await signUp({ email: $("email").value });
      $("password").value = "";
      go("check-email");
    } catch (problem) {
      form.show(problem);
    }
  });

  wire($("forgot-form"), async ({ email }) => {
    await call("POST", "password-resets", { json: { email } });
    $("forgot-where").hidden = false;
    $("forgot-form").querySelector("button").textContent = "Send it again";
    return "If this email address has an account, we have sent an email to it. We send the next one after 10 minutes.";
  });
};

/** Wires the forms of a signed-in account. */
export const ownerForms = ({ signedOut, devicesChanged }) => {
  const signOut = async (path, message) => {
    try {
      await call("DELETE", path);
      signedOut(message);
    } catch (problem) {
      showProblem($("devices-trouble"), problem);
    }
  };
  $("sign-out").addEventListener("click", () => signOut("sessions/current", "You have signed out."));
  $("sign-out-all").addEventListener("click", () => signOut("sessions", "You have signed out on every device."));

  const form = $("change-password");
  wire(form, async ({ current_password, new_password }) => {
    await call("PUT", "accounts/current/password", { json: { current_password, new_password } });
    form.reset();
    devicesChanged();
    return "The password is changed. We have sent you an email about it.";
  });
  wire($("change-email"), async ({ email, current_password }) => {
    await call("PATCH", "accounts/current", { json: { email, current_password } });
    $("change-email").reset();
    devicesChanged();
    return "We have sent an email to the new email address: open its link and press Confirm.";
  });
  wire($("erase"), async ({ current_password }) => {
    await call("DELETE", "accounts/current", { json: { current_password } });
    $("erase").reset();
    memory.set("email", null);
    signedOut("The account and all its data are erased.", "");
  });
};

let shown = "";
/** Lists the devices. Changes nothing if they are the same, as one of them may have the focus. */
export const showDevices = (sessions, changed) => {
  const now = JSON.stringify(sessions.map((session) => session.id));
  if (now === shown) return;
  shown = now;
  $("devices").replaceChildren(...sessions.map((session) => {
    const name = device(session.user_agent);
    const signOut = async () => {
      try {
        $("devices-trouble").replaceChildren();
        await call("DELETE", `sessions/${session.id}`);
        changed();
        $("devices").closest("details").querySelector("summary").focus();
      } catch (problem) {
        showProblem($("devices-trouble"), problem);
      }
    };
    return el("li", {},
      el("span", {}, el("strong", {}, name), session.current && " (this one)",
        el("small", {}, since(session.created_at, "Signed in "))),
      !session.current && button("Sign out", `Sign out ${name}`, "quiet small", signOut));
  }));
  $("sign-out-all").parentElement.hidden = sessions.length < 2;
  $("sign-out-all").textContent = `Sign out everywhere (${count(sessions.length, "device")}, including this one)`;
};
