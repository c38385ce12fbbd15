// The factors: polls the service, every two seconds while the page is visible, and shows its state.

import { $, ago, clock, count, device, el } from "./dom.js";
import { on, send } from "./api.js";
import { burst, note, showLegend } from "./strip.js";

const VISIBLE_INTERVAL = 2_000;
const HIDDEN_INTERVAL = 30_000;
/** After this time without input, requests with the session stop: each would extend it. */
const AWAY_AFTER = 120_000;
/** The number of sessions shown. */
const MAX_SESSIONS = 4;
/** Requests that the page sends by itself: not worth a search in the logs. */
const POLLED = /\/(health\/ready|version|live)$/;

let signedIn = false;
let handlers = {};
let lastMove = Date.now();
let live = null;
let liveAt = 0;
/** Whether a service is down that sessions need. */
let down = false;

/** Shows the data of the account; returns the version of the responding instance, or null if there is none now. */
const liveBy = async () => {
  if (!signedIn || down || Date.now() - lastMove > AWAY_AFTER) return null;
  try {
    const { body } = await send("GET", "api/v1/live");
    if (signedIn) showLive(body);
    return body.served_by;
  } catch (problem) {
    if (problem.type !== "urn:problem:unavailable") throw problem;
    return null;
  }
};

/** Sends a request and records which instance responded; when signed in, with the session. Returns null if it fails. */
const probe = async () => {
  try {
    const by = await liveBy() ?? (await send("GET", "version")).body;
    note(by);
    showRelease(by);
    return by;
  } catch (problem) {
    if (problem.status === 401 && signedIn) handlers.signedOut();
    else note(null);
    return null;
  }
};

const row = (name, state, kind) => el("li", {}, el("span", {}, name), el("span", { class: kind }, state));

const showLive = (body) => {
  live = body;
  liveAt = Date.now();
  showSessions();
  $("keys").textContent = `Redis holds ${count(body.redis_keys, "key")} in total.`;
  const { ready, oldest_ready_seconds, dead } = body.queue;
  const figures = [["jobs waiting", ready], ["oldest waiting", ready ? clock(oldest_ready_seconds) : "–"], ["dead jobs", dead]];
  $("queue").replaceChildren(...figures.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, String(value)))));
  $("emails").replaceChildren(...body.emails.map(({ kind, created_at, sent_at }) => {
    const took = sent_at && ((new Date(sent_at) - new Date(created_at)) / 1000).toFixed(1);
    return row(`Email “${kind.replaceAll("_", " ")}”, ${ago(created_at)}`, sent_at ? `sent in ${took} s` : "waiting", sent_at && "good");
  }));
  handlers.sessions(body.sessions);
};

/** Counts the expiry of the sessions down between two responses. */
const showSessions = () => {
  if (!live) return;
  const passed = (Date.now() - liveAt) / 1000;
  const rows = live.sessions.slice(0, MAX_SESSIONS).map(({ device: { user_agent, current }, ttl_seconds }) => {
    // The requests of this page extend its own session.
    const kept = current && Date.now() - lastMove < AWAY_AFTER;
    const left = kept ? `expires ${Math.ceil(ttl_seconds / 60)} min after you leave` : `expires in ${clock(ttl_seconds - passed)}`;
    return row(device(user_agent) + (current ? " (this one)" : ""), left);
  });
  if (live.sessions.length > MAX_SESSIONS) rows.push(row(`and ${live.sessions.length - MAX_SESSIONS} more`, ""));
  $("sessions").replaceChildren(...rows);
};

const showSignedOut = () => {
  live = null;
  $("sessions").replaceChildren(row("Nobody is signed in here", ""));
  $("keys").textContent = "";
  $("queue").replaceChildren();
  $("emails").replaceChildren(row("Sign in to see the queue and your emails", ""));
};

const facts = (where, pairs) => $(where).replaceChildren(...pairs.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));

const showRelease = (by) => {
  facts("release", [["Version", by.version], ["Commit", el("code", {}, by.commit.slice(0, 12))], ["Release", by.release],
    ["Instance", by.instance], ["Started", ago(by.started_at)]]);
  handlers.version(by);
};

const NAMES = { postgres: "Postgres", redis: "Redis", mail: "Mail", storage: "Storage", process: "This process" };
/** What does not work without a service. */
const WITHOUT = {
  redis: "Without Redis, sign-in and all requests with a session fail; no session is lost.",
  mail: "Without mail, emails wait in the queue; everything else works.",
  storage: "Without storage, images fail; everything else works.",
};
const STATUS = {
  ready: "All services are up.",
  "not-ready": "Not ready: load balancers send this instance no requests.",
};

const health = async () => {
  let checks = {};
  let text = "Unreachable: no instance responds.";
  try {
    const { body } = await send("GET", "health/ready");
    ({ checks } = body);
    const missing = Object.keys(WITHOUT).filter((name) => checks[name]?.status === "down");
    text = STATUS[body.status] ?? ["Degraded.", ...missing.map((name) => WITHOUT[name])].join(" ");
  } catch (problem) {
    if (problem.checks) ({ checks } = problem);
    if (problem.status) text = problem.checks ? STATUS["not-ready"] : "Unreachable: no instance is ready.";
  }
  down = checks.redis?.status === "down" || checks.postgres?.status === "down";
  const names = new Set(["postgres", "redis", "mail", "storage", ...Object.keys(checks)]);
  $("services").replaceChildren(...Array.from(names, (name) => {
    const { status = "unknown", detail } = checks[name] ?? {};
    const kind = { up: "good", down: "bad", draining: "bad" }[status];
    return row(NAMES[name] ?? name, (kind === "good" ? "● " : "○ ") + status + (detail ? `: ${detail}` : ""), kind);
  }));
  // Screen readers read out each change.
  if ($("ready").textContent !== text) $("ready").textContent = text;
  $("ready").classList.toggle("bad", text !== STATUS.ready);
};

let timer;
const poll = async () => {
  clearTimeout(timer);
  // A varying number of requests: with a fixed one, round robin would always pick the same instance.
  await Promise.all([health(), probe(), Math.random() < 0.5 && probe()]);
  showLegend();
  clearTimeout(timer);
  timer = setTimeout(poll, document.hidden ? HIDDEN_INTERVAL : VISIBLE_INTERVAL);
};

/** Sets whether somebody is signed in, and polls at once. */
export const setSignedIn = (now) => {
  signedIn = now;
  if (!now) showSignedOut();
  return poll();
};

/** Starts polling. `listeners` has functions for `version`, `sessions` and `signedOut`. */
export const start = (listeners) => {
  handlers = listeners;
  on("response", ({ method, path, status, requestId }) => {
    const polled = POLLED.test(path);
    if (!requestId || (polled && $("last").children.length)) return;
    facts("last", [["Last", el("code", {}, `${method} ${path}`)], ["Status", String(status)], ["Id", el("code", {}, requestId)]]);
  });
  for (const event of ["pointermove", "pointerdown", "keydown", "scroll"]) {
    addEventListener(event, () => { lastMove = Date.now(); }, { passive: true });
  }
  document.addEventListener("visibilitychange", () => document.hidden || poll());
  setInterval(showSessions, 1_000);
  const start = $("burst");
  start.addEventListener("click", async () => {
    if (start.ariaDisabled === "true") return;
    start.ariaDisabled = "true";
    lastMove = Date.now();
    if (await burst(100, probe)) document.dispatchEvent(new Event("survived"));
    showLegend();
    start.ariaDisabled = "false";
  });
};
