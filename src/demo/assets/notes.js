// The list of notes: make one, search, and go on where a page ends.

import { $, announce, count, el } from "./dom.js";
import { call, newKey } from "./api.js";
import { showProblem, wire } from "./forms.js";
import { card } from "./note.js";

let query = "";
let cursor = null;
/** The one search whose answer still counts. */
let asking = new AbortController();

const item = (note) => el("li", {}, card(note, gone));

const gone = (own) => {
  const li = own.closest("li");
  const next = li.nextElementSibling ?? li.previousElementSibling;
  li.remove();
  (next?.querySelector("button") ?? $("new-note-title")).focus();
  tell();
};

const tell = () => {
  const shown = $("notes").children.length;
  const more = cursor ? ", and there are more" : "";
  $("more").hidden = !cursor;
  if (shown) $("found").textContent = query ? `${count(shown, "note")} with “${query}”${more}` : `${count(shown, "note")}${more}`;
  else $("found").textContent = query ? `No note has “${query}”.` : "No notes yet. The first one is a title away.";
};

const page = async (after) => {
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  const parameters = new URLSearchParams({ limit: 10, ...(query && { q: query }), ...(after && { cursor: after }) });
  try {
    const { body } = await call("GET", `notes?${parameters}`, { signal });
    cursor = body.next;
    return body.items.map(item);
  } catch (problem) {
    if (problem.name !== "AbortError") showProblem($("found"), problem);
    return null;
  }
};

/** Shows the first page. */
export const load = async () => {
  const items = await page(null);
  if (!items) return;
  $("notes").replaceChildren(...items);
  tell();
};

/** Forgets what one account has, before another sees the page. */
export const forget = () => {
  asking.abort();
  query = "";
  cursor = null;
  $("q").value = "";
  $("notes").replaceChildren();
  $("new-note").reset();
};

$("more").addEventListener("click", async () => {
  const items = await page(cursor);
  if (!items) return;
  $("notes").append(...items);
  tell();
  items[0]?.querySelector("button").focus();
});

let typing;
const search = () => {
  clearTimeout(typing);
  query = $("q").value.trim();
  load();
};
$("q").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(search, 200);
});
$("search").addEventListener("submit", (event) => {
  event.preventDefault();
  search();
});

// The same key for the same note, however often it has to be sent.
let key = null;
$("new-note").addEventListener("input", () => {
  key = null;
});
wire($("new-note"), async ({ title, body }) => {
  key ??= newKey();
  const made = await call("POST", "notes", { json: { title, body }, headers: { "idempotency-key": key } });
  key = null;
  $("new-note").reset();
  $("new-note-title").focus();
  if (query) {
    $("q").value = "";
    search();
  } else {
    $("notes").prepend(item(made.body));
    tell();
  }
  announce(`“${made.body.title}” is added.`);
});
