// Elements, and words for people. Data becomes text nodes, never markup.

export const $ = (id) => document.getElementById(id);

/** An element with attributes and children; null and false children are left out, texts stay text. */
export const el = (name, attributes = {}, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(key, "");
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child != null && child !== false));
  return element;
};

/** A button that does something. */
export const button = (text, label, kind, act) => {
  const element = el("button", { type: "button", class: kind, "aria-label": label }, text);
  element.addEventListener("click", act);
  return element;
};

let fading;
/** Says to all what has been done, for a while; or what is being done, until something else is said. */
export const announce = (text, { meanwhile = false } = {}) => {
  clearTimeout(fading);
  $("announcer").textContent = text;
  if (!meanwhile) fading = setTimeout(() => $("announcer").replaceChildren(), 5_000);
};

export const count = (number, one, many = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

/** How long ago something was, or "just now". */
export const ago = (time) => {
  const seconds = (Date.now() - new Date(time)) / 1000;
  if (seconds < 5) return "just now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return new Date(time).toLocaleDateString("en", { day: "numeric", month: "short", year: "numeric" });
};

/** Such a time as an element, which stays true. */
export const since = (time, words = "") => el("time", { datetime: time, "data-words": words }, words + ago(time));
setInterval(() => {
  for (const element of document.querySelectorAll("time[data-words]")) element.textContent = element.dataset.words + ago(element.dateTime);
}, 10_000);

/** Seconds as a clock shows them: 4:05 or 1:04:05. */
export const clock = (seconds) => {
  const left = Math.max(0, Math.round(seconds));
  const parts = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60];
  const [hours, ...rest] = parts;
  const [minutes, last] = rest.map((part) => String(part).padStart(2, "0"));
  return hours ? `${hours}:${minutes}:${last}` : `${Number(minutes)}:${last}`;
};

/** A browser by name, as far as its own words tell. */
export const device = (agent) => {
  const find = (names) => names.find(([, pattern]) => pattern.test(agent))?.[0];
  const browser = find([["Edge", /Edg/], ["Firefox", /Firefox/], ["Chrome", /Chrom/], ["Safari", /Safari/], ["curl", /curl/]]);
  const system = find([["Android", /Android/], ["iPhone", /iPhone/], ["iPad", /iPad/], ["Windows", /Windows/], ["macOS", /Mac OS/], ["Linux", /Linux/]]);
  return [browser, system].filter(Boolean).join(" on ") || agent || "Unknown device";
};
