// One note as a card, and its image.

import { announce, button, el, since } from "./dom.js";
import { Problem, call } from "./api.js";
import { showProblem } from "./forms.js";
import { edit, remove, sure } from "./editor.js";

let spelling = 0;
/**
 * The small image. A browser that has shown an image in a page shows it again without asking; the same URL in
 * another spelling makes it ask.
 */
const source = (note) => {
  spelling += 1;
  return `${note.image}?size=preview${"&".repeat(spelling % 50)}`;
};

const picture = (note) => {
  const image = el("img", { src: source(note), alt: `The image of “${note.title}”`, loading: "lazy", width: 160, height: 120 });
  return el("a", { class: "picture", href: note.image, target: "_blank", rel: "noopener" }, image);
};

/** A worker makes the preview in a while: looks for it, and shows it. */
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

/** What is said while an image is on its way. */
export const SENDING = "Sending the image …";

const KINDS = ["image/png", "image/jpeg", "image/webp", "image/gif"];

/** Tells at once what the service would tell when all of it has been sent. A file whose kind is not known may pass. */
export const check = (file) => {
  if (file.type && !KINDS.includes(file.type)) throw new Problem(415, { detail: `“${file.name}” is not taken: it is no PNG, JPEG, WebP or GIF image.` });
  if (file.size > 10 * 1024 * 1024) throw new Problem(413, { detail: `“${file.name}” is not taken: it has more than 10 MiB.` });
};

/** Gives a note its image; answers the note as it then is. */
export const putImage = async (note, file) => {
  check(file);
  // The bytes tell the service what it is; the browser's guess would be by the file's name.
  const options = { file, headers: { "content-type": "application/octet-stream" } };
  return (await call("PUT", `notes/${note.id}/image`, options)).body;
};

/** What can be done about the image. `show(note, name)` shows the note as it now is, with the focus on a control. */
const imageControls = (note, trouble, show) => {
  const act = async (work, name, said, meanwhile = "") => {
    try {
      trouble.replaceChildren();
      announce(meanwhile, { meanwhile: true });
      const changed = await work();
      const card = show(changed, name);
      announce(said);
      if (changed.image) await awaitPreview(changed, card);
    } catch (problem) {
      announce("");
      if (note.image) problem.hint = " The image that was there stays.";
      showProblem(trouble, problem);
    }
  };
  const word = note.image ? "Replace image" : "Add an image";
  const input = el("input", { type: "file", class: "unseen", accept: KINDS, "aria-label": `${word} of “${note.title}”`, "data-name": "file" });
  input.addEventListener("change", () => {
    const [file] = input.files;
    if (file) act(() => putImage(note, file), "file", note.image ? "The image is replaced." : "The image is added.", SENDING);
    // Else the same file could not be chosen again after a mistake.
    input.value = "";
  });
  const take = async () => {
    await call("DELETE", `notes/${note.id}/image`);
    return { ...note, image: null, updated_at: new Date().toISOString() };
  };
  const askAndTake = async () => {
    if (await sure("Remove the image?", `The image of “${note.title}” goes for good.`, "Remove it", "Keep it")) await act(take, "file", "The image is removed.");
  };
  return [
    el("label", { class: "file button quiet small" }, word, input),
    note.image && button("Remove image", `Remove the image of “${note.title}”`, "quiet small", askAndTake),
  ];
};

/** A card that shows itself anew when its note changes; `gone` is called when it is deleted. */
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
    ...[note.image && picture(note)].filter(Boolean),
    el("div", {},
      el("h3", {}, note.title),
      el("p", { class: "times" }, since(note.created_at),
        new Date(note.updated_at) - new Date(note.created_at) > 1_000 && [", ", since(note.updated_at, "changed ")]),
      note.body && el("p", { class: note.body.length > 400 || note.body.split("\n").length > 6 ? "text long" : "text" }, note.body),
      el("div", { class: "row" }, open, imageControls(note, trouble, show), bin),
      trouble));
  return own;
};
