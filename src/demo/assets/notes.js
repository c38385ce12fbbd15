// The list of notes: add, search, load the next page.

import { $, notify, count, el } from "./dom.js";
import { call, newKey } from "./api.js";
import { showProblem, wire } from "./forms.js";
import { SENDING, awaitPreview, card, check, putImage } from "./note.js";

let query = "";
let cursor = null;
/** Aborts the last request when a newer one starts. */
let request = new AbortController();

const item = (note) => el("li", {}, card(note, gone));

const gone = (own) => {
  const li = own.closest("li");
  const next = li.nextElementSibling ?? li.previousElementSibling;
  li.remove();
  (next?.querySelector("button") ?? $("new-note-title")).focus();
  showCount();
};

const showCount = () => {
  const shown = $("notes").children.length;
  const more = cursor ? ", and there are more" : "";
  $("more").hidden = !cursor;
  if (shown) $("found").textContent = query ? `${count(shown, "note")} with “${query}”${more}` : `${count(shown, "note")}${more}`;
  else $("found").textContent = query ? `No notes found for “${query}”. The search finds whole words; the last word may be incomplete.` : "No notes yet.";
  // During a search only the results are shown.
  $("new").hidden = Boolean(query);
  $("all").hidden = !query;
  document.dispatchEvent(new Event("notes"));
};

/** Whether the account has notes. */
export const hasNotes = () => Boolean(query || $("notes").children.length);

const page = async (after) => {
  request.abort();
  request = new AbortController();
  const { signal } = request;
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
  showCount();
};

/** The text of the new note. */
export const typed = () => ({ title: $("new-note-title").value, body: $("new-note-body").value });

/** Fills the new note. */
export const restore = (text) => {
  if (!text) return;
  $("new-note-title").value = text.title;
  $("new-note-body").value = text.body;
};

/** Clears the data of the account, before another one signs in. */
export const clear = () => {
  request.abort();
  query = "";
  cursor = null;
  $("q").value = "";
  $("notes").replaceChildren();
  $("new").hidden = false;
  $("new-note").reset();
  nameImage();
};

$("more").addEventListener("click", async () => {
  const items = await page(cursor);
  if (!items) return;
  $("notes").append(...items);
  showCount();
  items[0]?.querySelector("button").focus();
});

$("all").addEventListener("click", () => {
  $("q").value = "";
  $("q").focus();
  search();
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

const nameImage = () => {
  const [file] = $("new-image").files;
  $("new-image-word").textContent = file ? "Choose another" : "Add an image";
  $("new-image-name").textContent = file?.name ?? "";
  $("new-image-hint").hidden = Boolean(file);
  $("drop-image").hidden = !file;
};
$("drop-image").addEventListener("click", () => {
  $("new-image").value = "";
  nameImage();
  $("new-image").focus();
});
$("new-image").addEventListener("change", () => {
  form.clear();
  const [file] = $("new-image").files;
  try {
    if (file) check(file);
  } catch (problem) {
    $("new-image").value = "";
    form.show(problem);
    $("new-image").focus();
  }
  nameImage();
});

/** Whether the form has an unsaved new note. */
export const isTyping = () => Boolean($("new-note-title").value || $("new-note-body").value);

// A retry of the same note has the same key.
let key = null;
$("new-note").addEventListener("input", () => {
  key = null;
});
const form = wire($("new-note"), async ({ title, body }, say) => {
  const [file] = $("new-image").files;
  key ??= newKey();
  let { body: note } = await call("POST", "notes", { json: { title, body }, headers: { "idempotency-key": key } });
  key = null;
  let trouble;
  try {
    if (file) {
      say(SENDING);
      note = await putImage(note, file);
    }
  } catch (problem) {
    trouble = problem;
  }
  $("new-note").reset();
  nameImage();
  $("new-note-title").focus();
  const added = item(note);
  $("notes").prepend(added);
  showCount();
  if (note.image) awaitPreview(note, added).catch(() => {});
  notify(`“${note.title}” added${trouble ? ", without its image" : ""}.`);
  // The note exists: show the error of the image on its card, where another can be chosen.
  if (trouble) showProblem(added.querySelector(".trouble"), trouble);
});
