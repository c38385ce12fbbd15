// Renders openapi.json (OpenAPI 3.1). Data becomes text nodes, never markup.

const METHODS = ["get", "post", "put", "patch", "delete", "head", "options"];
const byId = (id) => document.getElementById(id);
let api;

/** An element with attributes and children; null children are skipped, strings become text. */
const el = (name, attributes = {}, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children.flat(Infinity).filter((child) => child != null && child !== ""));
  return element;
};
const slug = (text) => text.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");
const nameOf = (ref) => decodeURIComponent(ref.split("/").pop());

/** The target of a `$ref`; keys beside the `$ref` override it. */
const resolve = (node) => {
  for (let hops = 0; node?.$ref && hops < 20; hops += 1) {
    const { $ref, ...beside } = node;
    const unescape = (part) => decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~");
    const target = $ref.replace(/^#\//, "").split("/").map(unescape).reduce((at, part) => at?.[part], api);
    node = { ...target, ...beside };
  }
  return node ?? {};
};

/** Inline Markdown: code, strong, emphasis and links. */
const inline = (text) =>
  text.split(/(`[^`]+`|\*\*[^*]+\*\*|\*[^*\s][^*]*\*|\[[^\]]+\]\((?:https?:|\/|#)[^)\s]*\))/).map((part) => {
    if (/^`.+`$/.test(part)) return el("code", {}, part.slice(1, -1));
    if (/^\*\*.+\*\*$/.test(part)) return el("strong", {}, part.slice(2, -2));
    if (/^\*.+\*$/.test(part)) return el("em", {}, part.slice(1, -1));
    const link = /^\[(.+)\]\((.+)\)$/.exec(part);
    return link ? el("a", { href: link[2] }, link[1]) : part;
  });

/** Block Markdown: paragraphs and lists, all that descriptions use. */
const prose = (text = "") =>
  text.split(/\n\s*\n/).filter((block) => block.trim()).map((block) => {
    const items = block.split(/^\s*[-*] /m);
    if (items.length > 1 && !items[0].trim()) {
      return el("ul", {}, items.slice(1).map((item) => el("li", {}, inline(item.trim()))));
    }
    return el("p", {}, inline(block.trim()));
  });

/** A schema with its `allOf` merged. */
const merged = (schema) => {
  const { allOf, ...rest } = resolve(schema);
  return (allOf ?? []).map(merged).reduce((all, part) => ({
    ...part,
    ...all,
    properties: { ...part.properties, ...all.properties },
    required: [...(all.required ?? []), ...(part.required ?? [])],
  }), rest);
};
const choices = (schema) => schema.oneOf ?? schema.anyOf ?? [];
const notNull = (list) => list.filter((choice) => resolve(choice).type !== "null");

const typeOf = (schema) => {
  const plain = merged(schema);
  if (choices(plain).length) return choices(plain).map(typeOf).join(" or ");
  const types = [plain.type ?? (plain.properties ? "object" : "any")].flat();
  const named = types.map((type) => (type === "array" ? `array of ${typeOf(plain.items ?? {})}` : type));
  return named.join(" or ") + (plain.format ? ` (${plain.format})` : "");
};

const limits = (schema) => {
  const plain = merged(schema);
  const range = (low, high, unit) => {
    if (low == null && high == null) return null;
    return [low != null && `at least ${low}`, high != null && `at most ${high}`].filter(Boolean).join(", ") + unit;
  };
  const values = plain.enum ?? (plain.const === undefined ? [] : [plain.const]);
  return [
    range(plain.minLength, plain.maxLength, " characters"),
    range(plain.minimum, plain.maximum, ""),
    range(plain.minItems, plain.maxItems, " items"),
    plain.pattern && `matches ${plain.pattern}`,
    plain.default !== undefined && `default ${JSON.stringify(plain.default)}`,
    values.length && `one of ${values.map((value) => JSON.stringify(value)).join(", ")}`,
    plain.additionalProperties === false && "no other fields",
  ].filter(Boolean).join("; ");
};

/** A schema without null and references, and the references that led to it: a schema may be recursive. */
const behind = (schema, seen) => {
  const [only, ...others] = notNull(choices(merged(schema)));
  const target = only && !others.length ? only : schema;
  const refs = [schema.$ref, target.$ref].filter(Boolean);
  return { plain: merged(target), seen: [...seen, ...refs], again: refs.some((ref) => seen.includes(ref)) };
};

/** The fields of an object, nested ones included, as [path, schema, required]. */
const fields = (schema, prefix = "", above = []) => {
  const { plain, seen, again } = behind(schema, above);
  if (again) return [];
  if (plain.items) return fields(plain.items, `${prefix}[]`, seen);
  return Object.entries(plain.properties ?? {}).flatMap(([name, field]) => {
    const path = prefix ? `${prefix}.${name}` : name;
    return [[path, field, (plain.required ?? []).includes(name)], ...fields(field, path, seen)];
  });
};

/** An example value of a schema: its own, or one made from its parts. */
const example = (schema, above = []) => {
  const { plain, seen, again } = behind(schema, above);
  const given = plain.example ?? plain.examples?.[0] ?? plain.default ?? plain.const ?? plain.enum?.[0];
  if (given !== undefined) return given;
  if (again) return null;
  const [choice] = notNull(choices(plain));
  if (choice) return example(choice, seen);
  const type = [plain.type ?? "object"].flat()[0];
  if (type === "array") return [example(plain.items ?? {}, seen)];
  if (type === "string") {
    const formats = { uuid: "0198c0de-0000-7000-8000-000000000000", "date-time": "2026-01-31T12:00:00Z" };
    return formats[plain.format] ?? "text";
  }
  if (type !== "object") return { integer: plain.minimum ?? 1, number: 1.5, boolean: true }[type] ?? null;
  const entries = Object.entries(plain.properties ?? {});
  return Object.fromEntries(entries.map(([name, field]) => [name, example(field, seen)]));
};

const table = (rows) => {
  const cells = rows.map(([name, where, schema, required, about]) =>
    el("tr", {},
      el("td", {}, el("code", {}, name), required ? el("span", { class: "must" }, " required") : null),
      el("td", {}, typeOf(schema), where ? ` in ${where}` : ""),
      el("td", {}, prose(about ?? resolve(schema).description), limits(schema) ? el("span", { class: "soft" }, limits(schema)) : null)));
  const head = el("tr", {}, ["Name", "Type", "About"].map((text) => el("th", { scope: "col" }, text)));
  return el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Fields" },
    el("table", {}, el("thead", {}, head), el("tbody", {}, cells)));
};
const json = (value) => el("pre", { tabindex: "0" }, el("code", {}, JSON.stringify(value, null, 2)));

const schemaTable = (schema) => {
  const rows = fields(schema);
  if (rows.length) return table(rows.map(([name, field, required]) => [name, "", field, required]));
  return el("p", { class: "soft" }, [typeOf(schema), limits(schema)].filter(Boolean).join("; "));
};

/** A body of one content type: its fields and an example. Problems link to their schema. */
const content = ([type, media], _, all) => {
  const { schema, examples } = media;
  const given = Object.values(examples ?? {}).map((one) => resolve(one).value);
  if (media.example !== undefined) given.unshift(media.example);
  const isJson = /[/+]json$/.test(type);
  if (!given.length && schema && isJson) given.push(example(schema));
  const link = type === "application/problem+json" && schema?.$ref
    ? el("p", {}, "A ", el("a", { href: `#schema-${slug(nameOf(schema.$ref))}` }, nameOf(schema.$ref)), ".") : null;
  const name = all.length > 1 ? el("h4", {}, el("code", {}, type)) : null; // A single type is in the summary already.
  return [name, link ?? (schema ? schemaTable(schema) : null), given.map(json)];
};

const response = ([status, node]) => {
  const { description, headers, content: contents } = resolve(node);
  const kind = { 2: "ok", 3: "ok", 4: "rejected" }[status[0]] ?? "failed";
  const names = Object.entries(headers ?? {});
  const rows = names.map(([name, header]) => [name, "", resolve(header).schema ?? {}, false, resolve(header).description]);
  const types = Object.entries(contents ?? {});
  const label = types.map(([type]) => type).join(", ") || "Headers";
  const more = [types.map(content), rows.length ? [el("h4", {}, "Headers"), table(rows)] : null];
  return el("div", { class: "response" },
    el("p", {}, el("span", { class: `status ${kind}` }, status), inline(description ?? "")),
    types.length || rows.length ? el("details", {}, el("summary", {}, label), more) : null);
};

const operation = ({ id, method, path, shared, ...op }) => {
  const parameters = [...shared, ...(op.parameters ?? [])].map(resolve);
  const body = op.requestBody && resolve(op.requestBody);
  const guarded = (op.security ?? api.security ?? []).some((way) => Object.keys(way).length);
  return el("details", { class: "operation", id },
    el("summary", {},
      el("span", { class: `method ${method}` }, method.toUpperCase()), el("code", { class: "path" }, path),
      el("span", { class: "summary" }, op.summary ?? ""), guarded ? el("span", { class: "badge" }, "signed in") : null),
    el("div", { class: "body" },
      prose(op.description),
      parameters.length ? [el("h3", {}, "Parameters"), table(parameters.map((one) =>
        [one.name, one.in, one.schema ?? {}, one.required, one.description]))] : null,
      body ? [el("h3", {}, "Body: ", el("code", {}, Object.keys(body.content ?? {}).join(", "))), prose(body.description), Object.entries(body.content ?? {}).map(content)] : null,
      el("h3", {}, "Responses"), Object.entries(op.responses ?? {}).map(response)));
};

/** The operations by tag: the document's tags in order, then other tags. */
const grouped = () => {
  const groups = new Map((api.tags ?? []).map((tag) => [tag.name, { about: tag.description, operations: [] }]));
  for (const [path, item] of Object.entries(api.paths ?? {})) {
    for (const method of METHODS.filter((name) => item[name])) {
      const tag = item[method].tags?.[0] ?? "Other";
      if (!groups.has(tag)) groups.set(tag, { operations: [] });
      const id = slug(`${method} ${path}`);
      groups.get(tag).operations.push({ ...item[method], id, method, path, shared: item.parameters ?? [] });
    }
  }
  return [...groups].filter(([, group]) => group.operations.length);
};

const show = () => {
  const { title = "API", version, description } = api.info ?? {};
  document.title = title;
  byId("about").replaceChildren(el("h1", {}, title, " ", el("small", {}, version ?? "")), ...prose(description),
    el("p", {}, el("a", { href: "openapi.json" }, "openapi.json"), el("span", { class: "soft" }, " has the same as JSON.")));
  for (const [tag, { about, operations }] of grouped()) {
    byId("operations").append(el("section", {}, el("h2", {}, tag), prose(about), operations.map(operation)));
    const links = operations.map(({ id, method, path }) => el("li", {},
      el("a", { href: `#${id}` }, el("span", { class: `method ${method}` }, method.toUpperCase()), path)));
    byId("contents").append(el("div", {}, el("h2", {}, tag), el("ul", {}, links)));
  }
  const schemas = Object.entries(api.components?.schemas ?? {}).map(([name, schema]) =>
    el("details", { class: "schema", id: `schema-${slug(name)}` }, el("summary", {}, el("code", { class: "path" }, name)),
      el("div", { class: "body" }, prose(schema.description), schemaTable(schema), json(example(schema)))));
  if (schemas.length) byId("operations").append(el("section", {}, el("h2", {}, "Schemas"), schemas));
};

const filter = () => {
  const words = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const shows = (element) => words.every((word) => element.textContent.toLowerCase().includes(word));
  const all = [...document.querySelectorAll("details.operation, details.schema")];
  for (const one of all) one.hidden = !shows(one);
  for (const link of document.querySelectorAll("nav li")) {
    link.hidden = byId(link.firstChild.hash.slice(1)).hidden;
  }
  for (const group of document.querySelectorAll("#operations > section, #contents > div")) {
    group.hidden = !group.querySelector("details.operation:not([hidden]), details.schema:not([hidden]), li:not([hidden])");
  }
  const found = all.filter((one) => !one.hidden && one.classList.contains("operation")).length;
  byId("count").textContent = words.length ? `${found} operations match` : "";
};

/** Opens the operation or schema of the fragment. */
const follow = () => {
  const target = byId(location.hash.slice(1));
  if (target?.tagName !== "DETAILS") return;
  target.open = true;
  target.scrollIntoView();
  target.querySelector("summary").focus({ preventScroll: true });
};

try {
  const response = await fetch("openapi.json");
  if (!response.ok) throw new Error(`status ${response.status}`);
  api = await response.json();
  show();
  follow();
  byId("filter").addEventListener("input", filter);
  addEventListener("hashchange", follow);
} catch (error) {
  byId("trouble").hidden = false;
  byId("trouble").textContent = `openapi.json could not be read: ${error.message}.`;
}
