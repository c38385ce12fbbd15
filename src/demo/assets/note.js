// One note as a card, and its image.

import { notify, button, el, since } from "./dom.js";
import { Problem, call } from "./api.js";
import { showProblem } from "./forms.js";
import { edit, remove, confirmed } from "./editor.js";

let spelling = 0;
/**
 * The URL of the preview. Within a page, browsers reuse an image without revalidation; a different spelling of the URL
 * makes them revalidate it.
 */
const source = (note) => {
  spelling += 1;
  return `${note.image}?size=preview${"&".repeat(spelling % 50)}`;
};

const thumbnail = (note) => {
  const image = el("img", { src: source(note), alt: `The image of “${note.title}”`, loading: "lazy", width: 160, height: 120 });
  return el("a", { class: "thumbnail", href: note.image, target: "_blank", rel: "noopener" }, image);
};

/** Polls for the preview, which a worker makes, and shows it. */
export const awaitPreview = async (note, card) => {
  const tag = async (path) => (await call("HEAD", path)).etag;
  const path = `notes/${note.id}/image`;
  for (let tries = 0; tries < 10 && card.isConnected; tries += 1) {
    await new Promise((resume) => setTimeout(resume, 600));
    if (await tag(path) !== await tag(`${path}?size=preview`)) {
      card.querySelector("img")?.setAttribute("src", source(note));
      return;
    }
  }
};

/** The message during an upload. */
export const SENDING = "Sending the image …";

const KINDS = ["image/png", "image/jpeg", "image/webp", "image/gif"];

/** Rejects a file before it is sent, as the service would. A file of unknown type passes. */
export const check = (file) => {
  if (file.type && !KINDS.includes(file.type)) throw new Problem(415, { detail: `“${file.name}” is not a PNG, JPEG, WebP or GIF image.` });
  if (file.size > 10 * 1024 * 1024) throw new Problem(413, { detail: `“${file.name}” is larger than 10 MiB.` });
};

/** Uploads the image of a note; returns the changed note. */
export const putImage = async (note, file) => {
  check(file);
  // The service detects the type by the bytes; the browser only guesses it by the file name.
  const options = { file, headers: { "content-type": "application/octet-stream" } };
  return (await call("PUT", `notes/${note.id}/image`, options)).body;
};

/** The buttons for the image. `show(note, name)` shows the changed note, with the focus on the named button. */
const imageControls = (note, trouble, show) => {
  const act = async (work, name, said, meanwhile = "") => {
    try {
      trouble.replaceChildren();
      notify(meanwhile, { meanwhile: true });
      const changed = await work();
      const card = show(changed, name);
      notify(said);
      if (changed.image) await awaitPreview(changed, card);
    } catch (problem) {
      notify("");
      if (note.image) problem.hint = " The note keeps its image.";
      showProblem(trouble, problem);
    }
  };
  const word = note.image ? "Replace image" : "Add an image";
  const input = el("input", { type: "file", class: "unseen", accept: KINDS, "aria-label": `${word} of “${note.title}”`, "data-name": "file" });
  input.addEventListener("change", () => {
    const [file] = input.files;
    if (file) act(() => putImage(note, file), "file", note.image ? "Image replaced." : "Image added.", SENDING);
    // So that choosing the same file again is a change.
    input.value = "";
  });
  const removeImage = async () => {
    await call("DELETE", `notes/${note.id}/image`);
    return { ...note, image: null, updated_at: new Date().toISOString() };
  };
  const confirmRemoval = async () => {
    if (await confirmed("Remove the image?", `The image of “${note.title}” will be deleted.`, "Remove", "Cancel")) await act(removeImage, "file", "Image removed.");
  };
  return [
    el("label", { class: "file button quiet small" }, word, input),
    note.image && button("Remove image", `Remove the image of “${note.title}”`, "quiet small", confirmRemoval),
  ];
};

/** The card of a note, which replaces itself when the note changes; `gone` is called when it is deleted. */
export const card = (note, gone) => {
  const trouble = el("div", { class: "trouble", role: "alert" });
  const own = el("article", { class: "note", "data-id": note.id });
  const show = (changed, name) => {
    const next = card(changed, gone);
    own.replaceWith(next);
    next.querySelector(`[data-name="${name}"]`)?.focus();
    return next;
  };
  const open = button("Edit", `Edit “${note.title}”`, "quiet small", () => edit(note, trouble, (changed) => show(changed, "edit")));
  open.dataset.name = "edit";
  const bin = button("Delete", `Delete “${note.title}”`, "quiet small", () => remove(note, trouble, () => gone(own)));
  own.append(
    ...[note.image && thumbnail(note)].filter(Boolean),
    el("div", {},
      el("h3", {}, note.title),
      el("p", { class: "times" }, since(note.created_at),
        new Date(note.updated_at) - new Date(note.created_at) > 1_000 && [", ", since(note.updated_at, "changed ")]),
      note.body && el("p", { class: note.body.length > 400 || note.body.split("\n").length > 6 ? "text long" : "text" }, note.body),
      el("div", { class: "row" }, open, imageControls(note, trouble, show), bin),
      trouble));
  return own;
};
