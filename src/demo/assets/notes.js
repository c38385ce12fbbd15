// The list of notes: make one, search, and go on where a page ends.

import { $, announce, count, el } from "./dom.js";
import { call, newKey } from "./api.js";
import { showProblem, wire } from "./forms.js";
import { SENDING, awaitPreview, card, check, putImage } from "./note.js";

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
  else $("found").textContent = query ? `Nothing found for “${query}”. Words are found by their beginnings: a shorter one may do.` : "No notes yet. The first one is a title away.";
  // Whoever searches wants to see what is found.
  $("new").hidden = Boolean(query);
  $("all").hidden = !query;
  document.dispatchEvent(new Event("notes"));
};

/** Whether any note is shown, or looked for among others. */
export const hasNotes = () => Boolean(query || $("notes").children.length);

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
  $("new").hidden = false;
  $("new-note").reset();
  nameImage();
};

$("more").addEventListener("click", async () => {
  const items = await page(cursor);
  if (!items) return;
  $("notes").append(...items);
  tell();
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

/** Whether something is typed for a new note that is not added. */
export const isTyping = () => Boolean($("new-note-title").value || $("new-note-body").value);

// The same key for the same note, however often it has to be sent.
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
  tell();
  if (note.image) awaitPreview(note, added).catch(() => {});
  announce(`“${note.title}” is added${trouble ? ", without its image" : ""}.`);
  // The note is there: what is wrong with the image is told where it can be chosen again.
  if (trouble) showProblem(added.querySelector(".trouble"), trouble);
});
