// Editing and deleting a note, only if nobody has changed it meanwhile (ETag and If-Match).

import { $, notify } from "./dom.js";
import { call } from "./api.js";
import { showProblem, wire } from "./forms.js";

let current;

const fetched = async (id) => {
  const { body, etag } = await call("GET", `notes/${id}`);
  return { note: body, etag };
};

/** Loads the current note, then opens a dialog for it. The browser restores the focus when it closes. */
const open = async (dialog, note, trouble, done) => {
  try {
    trouble.replaceChildren();
    current = { ...(await fetched(note.id)), done };
    dialog.forms.clear();
    dialog.fill(current.note);
    dialog.element.showModal();
  } catch (problem) {
    showProblem(trouble, problem);
  }
};

/** Asks for a confirmation before something is lost. */
export const confirmed = (title, text, yes, no) => new Promise((resolve) => {
  const dialog = $("confirm");
  for (const [id, words] of [["confirm-title", title], ["confirm-text", text], ["confirm-yes", yes], ["confirm-no", no]]) $(id).textContent = words;
  dialog.returnValue = "";
  dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  dialog.showModal();
});

const fill = ({ title, body }) => {
  $("edit-title").value = title;
  $("edit-body").value = body;
  $("conflict").hidden = true;
};

const save = async ({ title, body }) => {
  try {
    const headers = { "if-match": current.etag };
    const changed = await call("PATCH", `notes/${current.note.id}`, { json: { title, body }, headers });
    $("editor").close();
    current.done(changed.body);
    notify("Note saved.");
  } catch (problem) {
    if (problem.status !== 412) throw problem;
    $("conflict").hidden = false;
    $("load-theirs").focus();
  }
};

/** After a conflict: loads the other version, then calls `act`. */
const resolve = async (act) => {
  try {
    Object.assign(current, await fetched(current.note.id));
    $("conflict").hidden = true;
    await act();
  } catch (problem) {
    showProblem($("edit-note").querySelector(".trouble"), problem);
  }
};

const editor = { element: $("editor"), fill, forms: wire($("edit-note"), save) };
$("load-theirs").addEventListener("click", () => resolve(() => {
  fill(current.note);
  $("edit-title").focus();
}));
$("keep-mine").addEventListener("click", () => resolve(() => $("edit-note").requestSubmit()));

/** Whether the editor has unsaved changes. */
export const isEditing = () => $("editor").open && ($("edit-title").value !== current.note.title || $("edit-body").value !== current.note.body);

/** The note in the editor, and its unsaved text. */
export const edited = () => ({ ...current, title: $("edit-title").value, body: $("edit-body").value });

/** Opens the editor with unsaved text. Saving it fails if the note was changed meanwhile. */
export const reopen = ({ title, body, ...before }) => {
  current = before;
  editor.forms.clear();
  editor.fill({ title, body });
  editor.element.showModal();
};

/** Closes the editor; asks first if it has unsaved changes. */
const leave = async () => {
  if (isEditing() && !await confirmed("Discard your changes?", "They are not saved.", "Discard", "Keep editing")) return;
  $("editor").close();
};
$("editor").addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  event.preventDefault();
  leave();
});
$("editor").addEventListener("cancel", (event) => {
  event.preventDefault();
  leave();
});
$("leave").addEventListener("click", leave);

const remover = {
  element: $("remover"),
  fill: ({ title, image }) => {
    $("remover-name").textContent = `“${title}”`;
    $("remover-image").hidden = !image;
  },
  forms: wire($("remove-note"), async () => {
    await call("DELETE", `notes/${current.note.id}`, { headers: { "if-match": current.etag } });
    $("remover").close();
    current.done();
    notify("Note deleted.");
  }),
};

for (const closer of document.querySelectorAll("[data-close]")) {
  closer.addEventListener("click", () => closer.closest("dialog").close());
}

export const edit = (note, trouble, done) => open(editor, note, trouble, done);
export const remove = (note, trouble, done) => open(remover, note, trouble, done);
