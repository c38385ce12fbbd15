// The API: one way to ask, one kind of error, and a second try where that can do no harm.

const BASE = "api/v1/";
const PAUSES = [150, 400, 900];

/** Why a request was not answered as asked: a problem of the service, or no answer at all (status 0). */
export class Problem extends Error {
  constructor(status, body = {}, retryAfter = 0) {
    super(body.detail ?? body.title ?? (status ? `The service answered ${status}.` : "The service did not answer. Please try again."));
    this.status = status;
    this.type = body.type ?? "";
    this.requestId = body.request_id ?? "";
    this.errors = body.errors ?? [];
    this.checks = body.checks;
    this.retryAfter = retryAfter;
  }
}

const listeners = { answer: [], "signed-out": [] };
/** Has `listener` called with every answer, or when one tells that nobody is signed in. */
export const on = (event, listener) => listeners[event].push(listener);
const tell = (event, detail) => listeners[event].forEach((listener) => listener(detail));

/** A name for one request, however often it is sent. `randomUUID` is there on https and localhost alone. */
export const newKey = () => {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
};

const parsed = async (response) => {
  if (!/[/+]json\b/.test(response.headers.get("content-type") ?? "")) return undefined;
  return response.json();
};

const once = async (method, path, { json, file, headers = {}, signal }) => {
  const options = { method, headers: { ...headers }, signal, body: file };
  if (json !== undefined) {
    options.headers["content-type"] = "application/json";
    options.body = JSON.stringify(json);
  }
  let response;
  let body;
  try {
    response = await fetch(path, options);
    body = await parsed(response);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0);
  }
  const requestId = response.headers.get("x-request-id") ?? "";
  tell("answer", { method, path: new URL(path, document.baseURI).pathname, status: response.status, requestId });
  if (!response.ok) throw new Problem(response.status, body, Number(response.headers.get("retry-after")) || 0);
  return { status: response.status, body, etag: response.headers.get("etag") };
};

const pause = (milliseconds) => new Promise((resume) => setTimeout(resume, milliseconds));

/** Asks any path of the service, once. */
export const ask = (method, path, options = {}) => once(method, path, options);

/**
 * Asks the API. While an instance stops or starts, an answer may fail to come: what does no more when it is
 * sent twice, by its method or by its key, is sent again.
 */
export const call = async (method, path, options = {}) => {
  const repeatable = ["GET", "HEAD", "PUT"].includes(method) || options.headers?.["idempotency-key"];
  for (const wait of [...(repeatable ? PAUSES : []), null]) {
    try {
      return await once(method, BASE + path, options);
    } catch (problem) {
      if (problem.type === "urn:problem:signed-out") tell("signed-out");
      if (wait === null || ![0, 502, 503, 504].includes(problem.status)) throw problem;
      await pause(wait);
    }
  }
};
