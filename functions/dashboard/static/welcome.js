/**
 * Before there is something to show: sign in with a key, or make one and wait for the first request.
 * @module
 */
import { Failed, Refused, Unreachable, ask } from "./api.js";
import { announce, byId } from "./dom.js";
import { ever } from "./report.js";
import { forget, key, remember } from "./session.js";
import { go } from "./view.js";

const WAIT = 2_000; // ms between two looks for the first request

/** @type {() => void} */
let signedIn = () => {};
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/** @param {() => void} then called with a key that the server knows */
export function openWelcome(then) {
  signedIn = then;
  byId("sign-in").addEventListener("submit", (event) => {
    event.preventDefault();
    void signIn(field("key").value.trim());
  });
  byId("sign-up").addEventListener("submit", (event) => {
    event.preventDefault();
    void signUp(field("token").value.trim());
  });
  for (const button of document.querySelectorAll("[data-copy]")) button.addEventListener("click", () => copy(/** @type {HTMLElement} */ (button)));
}

/** @param {string} [message] why the reader is asked for a key */
export function showWelcome(message = "") {
  clearTimeout(timer);
  document.body.dataset.state = "out";
  document.title = "API Analytics";
  byId("sign-in-error").textContent = message;
  field("key").value = "";
  field("key").focus();
}

/** @param {string} secret */
async function signIn(secret) {
  if (!secret) return;
  const button = byId("sign-in-button");
  button.setAttribute("disabled", "");
  byId("sign-in-error").textContent = "";
  remember(secret);
  try {
    await ask("raw_logs", { query: { limit: 1 } });
    field("key").value = "";
    signedIn();
  } catch (error) {
    forget();
    byId("sign-in-error").textContent = reason(error);
    field("key").select();
  } finally {
    button.removeAttribute("disabled");
  }
}

/** @param {string} token needed where the service is not open to everyone */
async function signUp(token) {
  byId("sign-up-error").textContent = "";
  const headers = token ? { Authorization: `Bearer ${token}` } : undefined;
  try {
    const response = await ask("generate_key", { method: "POST", headers });
    remember((await response.json()).api_key);
    showFirstRun(true);
  } catch (error) {
    const closed = error instanceof Refused;
    byId("token-field").hidden = !closed && byId("token-field").hidden;
    if (closed) field("token").focus();
    byId("sign-up-error").textContent = !closed ? reason(error) : token ? "That token is not the right one." : "Keys are made with a sign-up token here. Its owner is who set up this service.";
  }
}

/** @param {unknown} error */
function reason(error) {
  if (error instanceof Refused) return "The server does not know this key. Check that all of it was copied, or create a new one.";
  if (error instanceof Unreachable) return "The server does not answer. Is it running? Try again in a moment.";
  if (error instanceof Failed) return error.retryAfter ? `${error.message} Try again in ${error.retryAfter} s.` : error.message;
  throw error;
}

/**
 * The lines to paste, and a wait that ends with the first request.
 * @param {boolean} made whether the key was made just now
 */
export function showFirstRun(made) {
  document.body.dataset.state = "first";
  const base = new URL(".", document.baseURI).href.replace(/\/$/, "");
  byId("made").hidden = !made;
  byId("made-key").textContent = key();
  byId("code-environment").textContent = `export API_BASE=${base}\nexport ANALYTICS_API_KEY=${key()}`;
  byId("code-app").textContent =
    'import os\nfrom client_middleware import TrackingMiddleware\n\napp.add_middleware(TrackingMiddleware, api_key=os.environ["ANALYTICS_API_KEY"])';
  byId("code-curl").textContent =
    `curl ${base}/track -H "X-API-Key: ${key()}" -H "Content-Type: application/json" \\\n` +
    `  -d '{"created_at": "'$(date -u +%FT%TZ)'", "method": "GET", "endpoint": "/hello",\n       "ip": null, "process_time": 12.3, "status_code": 200}'`;
  byId("first").focus();
  byId("wait-state").textContent = "Waiting for the first request…";
  clearTimeout(timer);
  timer = setTimeout(look, WAIT);
}

async function look() {
  if (document.body.dataset.state !== "first") return;
  try {
    if (!document.hidden && (await ever())) {
      announce("The first request has arrived.");
      go({ range: "hour" }); // a first request is best seen close by
      return signedIn();
    }
    byId("wait-state").textContent = "Waiting for the first request…";
  } catch (error) {
    if (error instanceof Refused) {
      forget();
      return showWelcome(reason(error));
    }
    byId("wait-state").textContent = `${reason(error)} Still waiting…`;
  }
  timer = setTimeout(look, WAIT);
}

/** @param {HTMLElement} button `data-copy` names the element whose text it copies */
async function copy(button) {
  const source = byId(button.dataset.copy ?? "");
  const label = button.textContent;
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(source.textContent ?? "");
    button.textContent = "Copied";
    announce("Copied");
    setTimeout(() => (button.textContent = label), 1_500);
  } else {
    getSelection()?.selectAllChildren(source); // a page over plain HTTP has no clipboard: Ctrl-C does the rest
  }
}

/** @param {string} id @returns {HTMLInputElement} */
const field = (id) => /** @type {HTMLInputElement} */ (byId(id));
