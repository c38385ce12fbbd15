// A dot for every response, and the instances that responded.

import { $, ago, count, el } from "./dom.js";

/** Six lines of dots. */
const MAX_DOTS = 120;
/** The instances by name, in the order of their first response. */
const instances = new Map();
const dots = [];
let failures = 0;

const label = (instance) => {
  const { index } = instances.get(instance);
  return { char: String.fromCharCode(65 + (index % 26)), style: `i${index % 6}` };
};

/** Records a response: `version` is that of the instance, or null if the request failed. */
export const note = (version) => {
  if (version) {
    const known = instances.get(version.instance);
    const index = known?.index ?? instances.size;
    instances.set(version.instance, { ...version, index, responses: (known?.responses ?? 0) + 1, seen: Date.now() });
  } else {
    failures += 1;
  }
  const { char, style } = version ? label(version.instance) : { char: "×", style: "failed" };
  const dot = el("span", { class: `dot fresh ${style}`, title: version ? version.instance : "failed" }, char);
  dots.push({ dot, instance: version?.instance ?? null });
  $("strip").append(dot);
  while (dots.length > MAX_DOTS) dots.shift().dot.remove();
};

/** Whether an instance is gone: it has not responded for ten seconds, nor to one of the last ten requests. */
const gone = (name) => Date.now() - instances.get(name).seen > 10_000 && !dots.slice(-10).some(({ instance }) => instance === name);
const alive = () => [...instances.keys()].filter((name) => !gone(name));

const summary = () => {
  const by = [...instances.keys()].map((name) => [label(name).char, dots.filter((dot) => dot.instance === name).length]);
  const failed = dots.filter((dot) => !dot.instance).length;
  const parts = [...by.filter(([, number]) => number).map(([char, number]) => `${number} by ${char}`), failed ? `${failed} failed` : "none failed"];
  return `The last ${count(dots.length, "request")}: ${parts.join(", ")}`;
};

/** Lists the instances, with the number of their responses and their start. */
export const showLegend = () => {
  $("strip").setAttribute("aria-label", summary());
  const now = Date.now();
  // An instance that has not responded for ten minutes is not listed.
  const rows = [...instances].filter(([, { seen }]) => now - seen < 600_000).map(([name, { release, started_at, responses, seen }]) => {
    const { char, style } = label(name);
    const state = gone(name) ? `gone: last response ${ago(seen)}` : `release ${release}, started ${ago(started_at)}`;
    return el("li", { class: gone(name) && "gone" },
      el("span", { class: `dot ${style}`, "aria-hidden": "true" }, char),
      el("strong", {}, el("span", { class: "unseen" }, `${char}: `), name),
      el("span", { class: "count" }, count(responses, "response")),
      el("small", {}, state));
  });
  if (failures) {
    rows.push(el("li", {}, el("span", { class: "dot failed", "aria-hidden": "true" }, "×"), el("strong", {}, "no response"),
      el("span", { class: "count" }, count(failures, "time"))));
  }
  $("legend").replaceChildren(...rows);
  // Only after a few responses: with several instances, the load balancer would have used more than one.
  $("alone").hidden = alive().length !== 1 || dots.length < 5;
  showKill();
};

let target;
/** Shows a command that kills an instance, if another one is alive. In a container the process has the id 1. */
const showKill = () => {
  const instancesAlive = alive();
  if (!instancesAlive.includes(target)) [target] = instancesAlive;
  const [, host, process] = /^(.*)\.(\d+)$/.exec(target ?? "") ?? [];
  $("kill").hidden = instancesAlive.length < 2 || !process;
  if ($("kill").hidden) return;
  const command = process === "1" ? `docker kill ${host}` : `kill -9 ${process}`;
  $("kill").replaceChildren(`Stop ${label(target).char} in a terminal: `, el("code", {}, command), ". Then send 100 requests.");
};

/**
 * Sends `total` requests, ten at a time: `probe` sends one, and returns the version or null. Returns whether none failed
 * although an instance is gone.
 */
export const burst = async (total, probe) => {
  const start = performance.now();
  const versions = [];
  let left = total;
  const result = $("burst-result");
  // While busy, screen readers do not read the changes.
  result.ariaBusy = "true";
  result.textContent = `0 of ${total} …`;
  const one = async () => {
    while (left > 0) {
      left -= 1;
      versions.push(await probe());
      result.textContent = `${versions.length} of ${total} …`;
    }
  };
  await Promise.all(Array.from({ length: 10 }, one));
  const good = versions.filter(Boolean);
  const by = new Set(good.map((version) => version.instance)).size;
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const failed = total - good.length;
  const survived = !failed && by < instances.size;
  result.textContent = `${good.length} responses from ${count(by, "instance")}, ${failed || "none"} failed, in ${seconds} s.${survived ? " One instance is gone." : ""}`;
  result.ariaBusy = "false";
  return survived;
};
