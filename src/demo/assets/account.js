// The account: sign up, sign in, forgot password, devices, and what an owner may change.

import { $, button, count, device, el, since } from "./dom.js";
import { call } from "./api.js";
import { showProblem, wire } from "./forms.js";

/**
 * What this browser remembers: the address, and whether somebody is signed in, as the cookie is hidden from
 * scripts and asking in vain is an error. Without storage it forgets, and no more.
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
      // It is a convenience.
    }
  },
};

const ADDRESSES = ["new-email", "email", "forgot-email"].map($);
/** Carries an address over to every form that asks who somebody is. */
export const fillAddress = (email = memory.get("email") ?? "") => {
  for (const field of ADDRESSES) {
    if (field.value !== email) field.value = email;
  }
  $("letter-email").textContent = email || "your address";
};

/** Wires what is there while nobody is signed in. */
export const signedOutForms = ({ go, signedIn }) => {
  for (const field of ADDRESSES) field.addEventListener("input", () => fillAddress(field.value));
  const unconfirmed = el("div", {}, $("unconfirmed").content);
  for (const where of document.querySelectorAll("[data-where]")) where.append($("where").content.cloneNode(true));
  const local = ["localhost", "127.0.0.1"].includes(location.hostname);
  for (const part of [...document.querySelectorAll(".local"), ...unconfirmed.querySelectorAll(".local")]) part.hidden = !local;
  for (const part of document.querySelectorAll(".remote")) part.hidden = local;

  // What was asked for last, for whom the letter does not reach: this page alone knows it, and as long as it is open.
  let asked = null;
  const signUp = async ({ email, password }) => {
    await call("POST", "accounts", { json: { email, password } });
    asked = { email, password };
    memory.set("email", email.trim());
    fillAddress();
    $("new-password").value = "";
  };
  wire($("sign-up-form"), async (values) => {
    await signUp(values);
    go("letter");
  });
  wire($("again-form"), async () => {
    if (!asked) return go("sign-up", "To send another letter, this page needs your password once more. The first one still works.");
    await signUp(asked);
    return "Another letter is on its way. Either of them will do.";
  });

  const form = wire($("sign-in-form"), async ({ email, password }) => {
    try {
      await call("POST", "sessions", { json: { email, password } });
    } catch (problem) {
      if (problem.type === "urn:problem:wrong-credentials") problem.hint = unconfirmed;
      throw problem;
    }
    asked = null;
    memory.set("email", email.trim());
    $("password").value = "";
    await signedIn();
  });
  // The answer is the same for every address: who has an account learns it from the letter.
  unconfirmed.querySelector("button").addEventListener("click", async () => {
    form.clear();
    if (form.missing()) return;
    try {
      await signUp({ email: $("email").value, password: $("password").value });
      $("password").value = "";
      go("letter");
    } catch (problem) {
      form.show(problem);
    }
  });

  wire($("forgot-form"), async ({ email }) => {
    await call("POST", "password-resets", { json: { email } });
    $("forgot-where").hidden = false;
    $("forgot-form").querySelector("button").textContent = "Send it again";
    return "If the address has an account, the letter is on its way.";
  });
};

/** Wires what an owner may change. */
export const ownerForms = ({ signedOut, devicesChanged }) => {
  const end = async (path, message) => {
    try {
      await call("DELETE", path);
      signedOut(message);
    } catch (problem) {
      showProblem($("devices-trouble"), problem);
    }
  };
  $("sign-out").addEventListener("click", () => end("sessions/current", "You are signed out."));
  $("sign-out-all").addEventListener("click", () => end("sessions", "You are signed out, on every device."));

  const form = $("change-password");
  wire(form, async ({ current_password, new_password }) => {
    await call("PUT", "accounts/current/password", { json: { current_password, new_password } });
    form.reset();
    devicesChanged();
    return "The password is changed, and a letter tells you so.";
  });
  wire($("change-address"), async ({ email, current_password }) => {
    await call("PATCH", "accounts/current", { json: { email, current_password } });
    $("change-address").reset();
    devicesChanged();
    return "A letter to the new address asks you to confirm it.";
  });
  wire($("erase"), async ({ current_password }) => {
    await call("DELETE", "accounts/current", { json: { current_password } });
    $("erase").reset();
    memory.set("email", null);
    signedOut("The account is erased, with all that was in it.", "");
  });
};

let shown = "";
/** Lists the devices; touches nothing when they are the same, as the focus may be among them. */
export const showDevices = (sessions, changed) => {
  const now = JSON.stringify(sessions.map((session) => session.id));
  if (now === shown) return;
  shown = now;
  $("devices").replaceChildren(...sessions.map((session) => {
    const name = device(session.user_agent);
    const end = async () => {
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
      !session.current && button("Sign out", `Sign out ${name}`, "quiet small", end));
  }));
  $("sign-out-all").parentElement.hidden = sessions.length < 2;
  $("sign-out-all").textContent = `Sign out everywhere (${count(sessions.length, "device")}, this one too)`;
};
