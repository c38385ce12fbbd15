// The API client: sends requests, throws problems, and retries idempotent requests.

const BASE = "api/v1/";
const PAUSES = [150, 400, 900];

/** Why a request failed: a problem of the service, or no response at all (status 0). */
export class Problem extends Error {
  constructor(status, body = {}, retryAfter = 0) {
    super(body.detail ?? body.title ?? (status ? `The service returned the status ${status}.` : "The service did not respond. Please try again."));
    this.status = status;
    this.type = body.type ?? "";
    this.requestId = body.request_id ?? "";
    this.errors = body.errors ?? [];
    this.checks = body.checks;
    this.retryAfter = retryAfter;
  }
}

let account = null;
/** Sends requests as this account only: if another one has signed in with this browser, the service rejects them. */
export const actAs = (id) => { account = id; };

const listeners = { response: [], "signed-out": [], "account-mismatch": [] };
/**
 * Adds a listener of `response` (every response), `signed-out` (a response says that there is no session) or
 * `account-mismatch` (another account is signed in).
 */
export const on = (event, listener) => listeners[event].push(listener);
const emit = (event, detail) => listeners[event].forEach((listener) => listener(detail));

/** A new Idempotency-Key. Browsers have `randomUUID` only on https and localhost. */
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
  if (account && path.startsWith(BASE)) options.headers["x-account-id"] = account;
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
  emit("response", { method, path: new URL(path, document.baseURI).pathname, status: response.status, requestId });
  if (body?.type === "urn:problem:account-mismatch") emit("account-mismatch");
  if (!response.ok) throw new Problem(response.status, body, Number(response.headers.get("retry-after")) || 0);
  return { status: response.status, body, etag: response.headers.get("etag") };
};

const pause = (milliseconds) => new Promise((resume) => setTimeout(resume, milliseconds));

/** Sends a request to any path of the service, once. */
export const send = (method, path, options = {}) => once(method, path, options);

/**
 * Sends a request to the API. While an instance stops or starts, a request may get no response: it is sent again if
 * it is idempotent, by its method or by its key.
 */
export const call = async (method, path, options = {}) => {
  const idempotent = ["GET", "HEAD", "PUT"].includes(method) || options.headers?.["idempotency-key"];
  for (const wait of [...(idempotent ? PAUSES : []), null]) {
    try {
      return await once(method, BASE + path, options);
    } catch (problem) {
      if (problem.type === "urn:problem:signed-out") emit("signed-out");
      if (wait === null || ![0, 502, 503, 504].includes(problem.status)) throw problem;
      await pause(wait);
    }
  }
};
