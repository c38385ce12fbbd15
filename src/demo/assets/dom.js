// Elements, and formats of numbers and times. Data becomes text nodes, never markup.

export const $ = (id) => document.getElementById(id);

/** An element with attributes and children; null and false children are skipped, strings become text. */
export const el = (name, attributes = {}, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(key, "");
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child != null && child !== false));
  return element;
};

/** A button that calls `act`. */
export const button = (text, label, kind, act) => {
  const element = el("button", { type: "button", class: kind, "aria-label": label }, text);
  element.addEventListener("click", act);
  return element;
};

let fading;
/** Shows what was done, for five seconds; with `meanwhile`, what is being done, until the next message. */
export const notify = (text, { meanwhile = false } = {}) => {
  clearTimeout(fading);
  $("toast").textContent = text;
  if (!meanwhile) fading = setTimeout(() => $("toast").replaceChildren(), 5_000);
};

export const count = (number, one, many = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

/** A time, relative to now. */
export const ago = (time) => {
  const seconds = (Date.now() - new Date(time)) / 1000;
  if (seconds < 5) return "just now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return new Date(time).toLocaleDateString("en", { day: "numeric", month: "short", year: "numeric" });
};

/** A relative time as an element, which is kept up to date. */
export const since = (time, words = "") => el("time", { datetime: time, "data-words": words }, words + ago(time));
setInterval(() => {
  for (const element of document.querySelectorAll("time[data-words]")) element.textContent = element.dataset.words + ago(element.dateTime);
}, 10_000);

/** Seconds as 4:05 or 1:04:05. */
export const clock = (seconds) => {
  const left = Math.max(0, Math.round(seconds));
  const parts = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60];
  const [hours, ...rest] = parts;
  const [minutes, last] = rest.map((part) => String(part).padStart(2, "0"));
  return hours ? `${hours}:${minutes}:${last}` : `${Number(minutes)}:${last}`;
};

/** The name of a browser and its system, from its User-Agent. */
export const device = (agent) => {
  const find = (names) => names.find(([, pattern]) => pattern.test(agent))?.[0];
  const browser = find([["Edge", /Edg/], ["Firefox", /Firefox/], ["Chrome", /Chrom/], ["Safari", /Safari/], ["curl", /curl/]]);
  const system = find([["Android", /Android/], ["iPhone", /iPhone/], ["iPad", /iPad/], ["Windows", /Windows/], ["macOS", /Mac OS/], ["Linux", /Linux/]]);
  return [browser, system].filter(Boolean).join(" on ") || agent || "Unknown device";
};
