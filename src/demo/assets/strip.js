// A dot for every answer, and who gave it.

import { $, ago, count, el } from "./dom.js";

/** As many as fit in six lines. */
const KEPT = 120;
/** An instance's name → what is known of it, in the order in which they answered first. */
const instances = new Map();
const dots = [];
let failures = 0;

const look = (instance) => {
  const { index } = instances.get(instance);
  return { letter: String.fromCharCode(65 + (index % 26)), style: `i${index % 6}` };
};

/** Notes an answer: `answer` is what `/version` tells, or null if none came or it failed. */
export const note = (answer) => {
  if (answer) {
    const known = instances.get(answer.instance);
    const index = known?.index ?? instances.size;
    instances.set(answer.instance, { ...answer, index, answered: (known?.answered ?? 0) + 1, seen: Date.now() });
  } else {
    failures += 1;
  }
  const { letter, style } = answer ? look(answer.instance) : { letter: "×", style: "failed" };
  const dot = el("span", { class: `dot fresh ${style}`, title: answer ? answer.instance : "failed" }, letter);
  dots.push({ dot, instance: answer?.instance ?? null });
  $("strip").append(dot);
  while (dots.length > KEPT) dots.shift().dot.remove();
};

/** Whether an instance is to be thought gone: silent for a while, in which others have answered. */
const gone = (name) => Date.now() - instances.get(name).seen > 10_000 && !dots.slice(-10).some(({ instance }) => instance === name);
const living = () => [...instances.keys()].filter((name) => !gone(name));

const summary = () => {
  const by = [...instances.keys()].map((name) => [look(name).letter, dots.filter((dot) => dot.instance === name).length]);
  const failed = dots.filter((dot) => !dot.instance).length;
  const parts = [...by.filter(([, number]) => number).map(([letter, number]) => `${number} by ${letter}`), failed ? `${failed} failed` : "none failed"];
  return `The last ${count(dots.length, "request")}: ${parts.join(", ")}`;
};

/** Says who answered, how often, and since when each is there. */
export const showLegend = () => {
  $("strip").setAttribute("aria-label", summary());
  const now = Date.now();
  // Whoever has not answered for ten minutes is not to be expected any more.
  const rows = [...instances].filter(([, { seen }]) => now - seen < 600_000).map(([name, { release, started_at, answered, seen }]) => {
    const { letter, style } = look(name);
    const state = gone(name) ? `gone: last answered ${ago(seen)}` : `release ${release}, started ${ago(started_at)}`;
    return el("li", { class: gone(name) && "gone" },
      el("span", { class: `dot ${style}`, "aria-hidden": "true" }, letter),
      el("strong", {}, el("span", { class: "unseen" }, `${letter}: `), name),
      el("span", { class: "count" }, count(answered, "answer")),
      el("small", {}, state));
  });
  if (failures) {
    rows.push(el("li", {}, el("span", { class: "dot failed", "aria-hidden": "true" }, "×"), el("strong", {}, "no answer"),
      el("span", { class: "count" }, count(failures, "time"))));
  }
  $("legend").replaceChildren(...rows);
  // After a few answers, which a balancer would have shared out.
  $("alone").hidden = living().length !== 1 || dots.length < 5;
  showKill();
};

let target;
/** How to kill one while another is there to go on: in a container a process has the number 1. */
const showKill = () => {
  const those = living();
  if (!those.includes(target)) [target] = those;
  const [, host, process] = /^(.*)\.(\d+)$/.exec(target ?? "") ?? [];
  $("kill").hidden = those.length < 2 || !process;
  if ($("kill").hidden) return;
  const command = process === "1" ? `docker kill ${host}` : `kill -9 ${process}`;
  $("kill").replaceChildren(`Stop ${look(target).letter} in a terminal: `, el("code", {}, command), ". Then send 100 requests.");
};

/**
 * Sends many requests, ten at a time: `probe` sends one, and gives what answered or null. Whether all were answered
 * though an instance is gone.
 */
export const burst = async (total, probe) => {
  const start = performance.now();
  const answers = [];
  let left = total;
  const result = $("burst-result");
  // What is busy is not read out: only the end of it is news.
  result.ariaBusy = "true";
  result.textContent = `0 of ${total} …`;
  const one = async () => {
    while (left > 0) {
      left -= 1;
      answers.push(await probe());
      result.textContent = `${answers.length} of ${total} …`;
    }
  };
  await Promise.all(Array.from({ length: 10 }, one));
  const good = answers.filter(Boolean);
  const by = new Set(good.map((answer) => answer.instance)).size;
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const failed = total - good.length;
  const survived = !failed && by < instances.size;
  result.textContent = `${good.length} answered by ${count(by, "instance")}, ${failed || "none"} failed, in ${seconds} s.${survived ? " One is gone, and nobody noticed." : ""}`;
  result.ariaBusy = "false";
  return survived;
};
