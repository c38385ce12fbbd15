// The account: sign up, sign in, forgot password, devices, and what an owner may change.

import { $, ago, button, count, device, el } from "./dom.js";
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

/** Wires what is there while nobody is signed in. */
export const signedOutForms = ({ go, signedIn }) => {
  wire($("sign-up"), async ({ email, password }) => {
    await call("POST", "accounts", { json: { email, password } });
    memory.set("email", email.trim());
    $("letter-email").textContent = email.trim();
    $("sign-up").reset();
    go("letter");
  });
  wire($("sign-in"), async ({ email, password }) => {
    await call("POST", "sessions", { json: { email, password } });
    memory.set("email", email.trim());
    $("sign-in").reset();
    await signedIn();
  });
  wire($("forgot"), async ({ email }) => {
    await call("POST", "password-resets", { json: { email } });
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
    signedOut("The account is erased, with all that was in it.");
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
        $("sign-out-all").focus();
      } catch (problem) {
        showProblem($("devices-trouble"), problem);
      }
    };
    return el("li", {},
      el("span", {}, el("strong", {}, name), session.current && " (this one)",
        el("small", {}, `Signed in ${ago(session.created_at)}`)),
      !session.current && button("Sign out", `Sign out ${name}`, "quiet small", end));
  }));
  $("sign-out-all").textContent = sessions.length > 1 ? `Sign out ${count(sessions.length, "device")}` : "Sign out everywhere";
};
