// Changing and deleting a note, each only if it is still the one that was seen (ETag and If-Match).

import { $, announce } from "./dom.js";
import { call } from "./api.js";
import { showProblem, wire } from "./forms.js";

let current;

const fetched = async (id) => {
  const { body, etag } = await call("GET", `notes/${id}`);
  return { note: body, etag };
};

/** Looks at the note as it is now, then opens a dialog about it. The browser gives the focus back when it closes. */
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

/** Asks before something is lost: whether it may be. */
export const sure = (title, text, yes, no) => new Promise((answer) => {
  const dialog = $("asker");
  for (const [id, words] of [["asker-title", title], ["asker-text", text], ["asker-yes", yes], ["asker-no", no]]) $(id).textContent = words;
  dialog.returnValue = "";
  dialog.addEventListener("close", () => answer(dialog.returnValue === "yes"), { once: true });
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
    announce("The note is saved.");
  } catch (problem) {
    if (problem.status !== 412) throw problem;
    $("conflict").hidden = false;
    $("take-theirs").focus();
  }
};

/** After a conflict: looks at the other version, and goes on from there. */
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
$("take-theirs").addEventListener("click", () => resolve(() => {
  fill(current.note);
  $("edit-title").focus();
}));
$("keep-mine").addEventListener("click", () => resolve(() => $("edit-note").requestSubmit()));

/** Whether something is typed in the editor that is not saved. */
export const isEditing = () => $("editor").open && ($("edit-title").value !== current.note.title || $("edit-body").value !== current.note.body);

/** Closes the editor, unless what was typed is not to be lost. */
const leave = async () => {
  if (isEditing() && !await sure("Leave without saving?", "What you have changed is lost.", "Leave it", "Go on editing")) return;
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
    announce("The note is deleted.");
  }),
};

for (const closer of document.querySelectorAll("[data-close]")) {
  closer.addEventListener("click", () => closer.closest("dialog").close());
}

export const edit = (note, trouble, done) => open(editor, note, trouble, done);
export const remove = (note, trouble, done) => open(remover, note, trouble, done);
