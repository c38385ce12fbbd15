// The factors: asks the service how it is, every two seconds while somebody looks, and shows it.

import { $, ago, clock, count, device, el } from "./dom.js";
import { ask, on } from "./api.js";
import { burst, note, showLegend } from "./strip.js";

const OFTEN = 2_000;
const SELDOM = 30_000;
/** A question by somebody who is signed in keeps the session alive: it is not asked for who went away. */
const AWAY = 120_000;
/** So many sessions have their time told. */
const SHOWN = 4;
/** What this page asks by itself, and nobody wants to look for in a log. */
const POLLED = /\/(health\/ready|version|live)$/;

let signedIn = false;
let told = () => {};
let lastMove = Date.now();
let live = null;
let liveAt = 0;
/** Whether a service is away without which nobody is known. */
let down = false;

/** Shows what is known to who is signed in, and gives who told it; nobody if it cannot be told now. */
const liveBy = async () => {
  if (!signedIn || down || Date.now() - lastMove > AWAY) return null;
  try {
    const { body } = await ask("GET", "api/v1/live");
    if (signedIn) showLive(body);
    return body.answered_by;
  } catch (problem) {
    if (problem.type !== "urn:problem:unavailable") throw problem;
    return null;
  }
};

/** Asks who answers; when signed in, by a session that any instance must know. Gives null if it fails. */
const probe = async () => {
  try {
    const by = await liveBy() ?? (await ask("GET", "version")).body;
    note(by);
    showRelease(by);
    return by;
  } catch (problem) {
    if (problem.status === 401 && signedIn) told.signedOut();
    else note(null);
    return null;
  }
};

const row = (name, state, kind) => el("li", {}, el("span", {}, name), el("span", { class: kind }, state));

const showLive = (body) => {
  live = body;
  liveAt = Date.now();
  showSessions();
  $("keys").textContent = `Redis holds ${count(body.redis_keys, "key")}, of everybody and everything.`;
  const { ready, oldest_ready_seconds, dead } = body.queue;
  const figures = [["jobs waiting", ready], ["oldest waiting", ready ? clock(oldest_ready_seconds) : "–"], ["given up", dead]];
  $("queue").replaceChildren(...figures.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, String(value)))));
  $("emails").replaceChildren(...body.emails.map(({ kind, created_at, sent_at }) => {
    const took = sent_at && ((new Date(sent_at) - new Date(created_at)) / 1000).toFixed(1);
    return row(`Email: ${kind.replaceAll("_", " ")}, ${ago(created_at)}`, sent_at ? `sent in ${took} s` : "waiting", sent_at && "good");
  }));
  told.sessions(body.sessions);
};

/** Counts down between two answers: Redis told what was left then. */
const showSessions = () => {
  if (!live) return;
  const passed = (Date.now() - liveAt) / 1000;
  const rows = live.sessions.slice(0, SHOWN).map(({ device: { user_agent, current }, ttl_seconds }) => {
    // Looking at this page keeps its own session alive.
    const kept = current && Date.now() - lastMove < AWAY;
    const left = kept ? `ends ${Math.ceil(ttl_seconds / 60)} min after you leave` : `ends in ${clock(ttl_seconds - passed)}`;
    return row(device(user_agent) + (current ? " (this one)" : ""), left);
  });
  if (live.sessions.length > SHOWN) rows.push(row(`and ${live.sessions.length - SHOWN} more`, ""));
  $("sessions").replaceChildren(...rows);
};

const showNobody = () => {
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
  told.version(by);
};

const NAMES = { postgres: "Postgres", redis: "Redis", mail: "Mail", storage: "Storage", process: "This process" };
/** What is lost without a service. */
const LOST = {
  redis: "Without Redis nobody is known: who signs in and what needs a session must wait, and no session is lost.",
  mail: "Without mail emails wait in the queue, all else goes on.",
  storage: "Without storage images must wait, all else goes on.",
};
const SAID = {
  ready: "All is well.",
  "not-ready": "Not ready: this instance gets no requests for now.",
};

const health = async () => {
  let checks = {};
  let said = "Unreachable: no instance answers.";
  try {
    const { body } = await ask("GET", "health/ready");
    ({ checks } = body);
    const lost = Object.keys(LOST).filter((name) => checks[name]?.status === "down");
    said = SAID[body.status] ?? ["Degraded.", ...lost.map((name) => LOST[name])].join(" ");
  } catch (problem) {
    if (problem.checks) ({ checks } = problem);
    if (problem.status) said = problem.checks ? SAID["not-ready"] : "Unreachable: no instance is ready.";
  }
  down = checks.redis?.status === "down" || checks.postgres?.status === "down";
  const names = new Set(["postgres", "redis", "mail", "storage", ...Object.keys(checks)]);
  $("services").replaceChildren(...Array.from(names, (name) => {
    const { status = "unknown", detail } = checks[name] ?? {};
    const kind = { up: "good", down: "bad", draining: "bad" }[status];
    return row(NAMES[name] ?? name, (kind === "good" ? "● " : "○ ") + status + (detail ? `: ${detail}` : ""), kind);
  }));
  // Only what has changed is read out.
  if ($("ready").textContent !== said) $("ready").textContent = said;
  $("ready").classList.toggle("bad", said !== SAID.ready);
};

let timer;
const look = async () => {
  clearTimeout(timer);
  // Not always the same number, or a balancer that takes turns would have the same instance answer.
  await Promise.all([health(), probe(), Math.random() < 0.5 && probe()]);
  showLegend();
  clearTimeout(timer);
  timer = setTimeout(look, document.hidden ? SELDOM : OFTEN);
};

/** Tells whether somebody is signed in, and looks at once. */
export const setSignedIn = (now) => {
  signedIn = now;
  if (!now) showNobody();
  return look();
};

/** Begins to look. `listeners`: `version`, `sessions` and `signedOut` are called with what is seen. */
export const start = (listeners) => {
  told = listeners;
  on("answer", ({ method, path, status, requestId }) => {
    const ours = POLLED.test(path);
    if (!requestId || (ours && $("last").children.length)) return;
    facts("last", [["Last", el("code", {}, `${method} ${path}`)], ["Status", String(status)], ["Id", el("code", {}, requestId)]]);
  });
  for (const event of ["pointermove", "pointerdown", "keydown", "scroll"]) {
    addEventListener(event, () => { lastMove = Date.now(); }, { passive: true });
  }
  document.addEventListener("visibilitychange", () => document.hidden || look());
  setInterval(showSessions, 1_000);
  const send = $("burst");
  send.addEventListener("click", async () => {
    if (send.ariaDisabled === "true") return;
    send.ariaDisabled = "true";
    lastMove = Date.now();
    if (await burst(100, probe)) document.dispatchEvent(new Event("survived"));
    showLegend();
    send.ariaDisabled = "false";
  });
};
