// The access token lives in `token` and nowhere else: no storage, no cookie, no message to another tab. The refresh token
// is in a cookie that this script cannot read; the browser sends it by itself.

const RACE_SIZE = 24;
const LOG_LIMIT = 120;
const byId = (id) => document.getElementById(id);

let user = null; // the signed-in user's name
let token = null; // { raw, header, claims, endsAt, lifetime }
let expired = null; // the last access token of this session that ran out
let epoch = 0; // grows at each sign-in and sign-out, so that an answer to an earlier sign-in cannot bring its token back
let restoring = null;
let listing = 0;

// ---------------------------------------------------------------- building the page: always as text, never as markup

function element(name, options = {}, ...children) {
  const node = document.createElement(name);
  const { text, className, data, ...attributes } = options;
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  Object.assign(node.dataset, data);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children.filter(Boolean));
  return node;
}

function say(message) {
  byId("status").textContent = message;
}

// ---------------------------------------------------------------- the access token

function decode(raw) {
  const part = (text) => {
    const base64 = text.replaceAll("-", "+").replaceAll("_", "/");
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(base64), (char) => char.charCodeAt(0))));
  };
  const [header, claims] = raw.split(".");
  return { header: part(header), claims: part(claims) };
}

function adopt(raw, expiresIn) {
  let decoded;
  try {
    decoded = decode(raw);
  } catch {
    decoded = { header: {}, claims: {} }; // still usable: only the server has to understand it
  }
  const lifetime = Math.max(0, Number(expiresIn) || 0);
  const next = { raw, ...decoded, lifetime, endsAt: Date.now() + lifetime * 1000 };
  // Answers of one burst arrive in any order: an older token does not replace a newer one.
  const older = token && token.claims.sid === next.claims.sid && next.endsAt < token.endsAt - 1500;
  if (!older) token = next;
  showToken();
  return next;
}

const running = (held) => held !== null && held.endsAt > Date.now();

function forget() {
  if (token && !running(token)) expired = token;
  token = null;
  showToken();
}

// ---------------------------------------------------------------- calls

/**
 * Makes one call and logs it. `bearer` is the access token to send: the held one unless given, none if null.
 * Resolves to { status, code, data, fresh, ok }; never rejects.
 */
async function call(method, path, { body, bearer = token?.raw ?? null } = {}) {
  const born = epoch;
  const generation = token?.claims.gen;
  const started = performance.now();
  const headers = { accept: "application/json" };
  if (bearer) headers.authorization = `Bearer ${bearer}`;
  if (body !== undefined) headers["content-type"] = "application/json";

  let response = null;
  let data = null;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
      redirect: "error",
    });
    const text = await response.text();
    data = text && /[/+]json\b/.test(response.headers.get("content-type") ?? "") ? JSON.parse(text) : text || null;
  } catch {
    // An answer that broke off counts as none; one that is not what it says keeps its status.
  }

  const status = response?.status ?? 0;
  const code = response ? (data?.code ?? "") : "no_answer";
  const exchanged = response?.headers.get("x-access-token") ?? null;
  const issued = typeof data?.access_token === "string" ? data.access_token : null;
  const flags = [];
  let fresh = null;
  if (exchanged) {
    flags.push("exchanged");
    if (born === epoch) fresh = adopt(exchanged, response.headers.get("x-access-token-expires-in"));
  } else if (issued && path !== "/auth/login") {
    flags.push("new access token");
    if (born === epoch) fresh = adopt(issued, data.expires_in);
  }
  if (fresh && generation !== undefined && fresh.claims.gen > generation) {
    flags.push(`generation ${generation} → ${fresh.claims.gen}`);
  }
  if (!bearer && !fresh && !path.startsWith("/auth/") && status === 200 && user) flags.push("cookie only");
  if ((path === "/auth/logout" || path === "/auth/logout-all") && response?.ok) flags.push("signed out");

  logCall({ method, path, status, code, took: performance.now() - started, flags, exchanged: Boolean(exchanged), data });
  return { status, code, data, fresh, ok: Boolean(response?.ok), born, bearer };
}

/** A call of the page's own buttons: a refusal is followed up, so that the page shows what the server thinks. */
async function visit(method, path, options) {
  const result = await call(method, path, options);
  if (result.status === 401 && result.born === epoch) {
    if (result.bearer) {
      // The token was refused; perhaps another tab signed in as somebody else. The cookie knows.
      forget();
      await restore();
    } else {
      signedOut();
    }
  } else if (result.fresh) {
    loadSessions();
  }
  say(`${method} ${path}: ${result.status || "no answer"} ${result.code}`);
  return result;
}

/** Asks who is there by the cookie alone. */
function restore() {
  restoring ??= call("GET", "/api/me", { bearer: null })
    .then((result) => {
      if (result.born !== epoch) return;
      if (result.ok) signedIn(result.data?.name ?? result.data?.sub);
      else if (result.status === 401) signedOut();
      else show(); // an outage signs nobody out
    })
    .finally(() => {
      restoring = null;
    });
  return restoring;
}

// ---------------------------------------------------------------- signing in and out

function signedIn(name) {
  user = String(name ?? "");
  show();
  loadSessions();
}

function signedOut() {
  epoch += 1;
  user = null;
  token = null;
  expired = null;
  listing += 1;
  byId("sessions").replaceChildren();
  show();
  showToken();
}

async function signIn(event) {
  event.preventDefault();
  const form = event.target;
  const device = form.device.value.trim();
  const body = { username: form.username.value, password: form.password.value };
  if (device) body.device = device;
  byId("sign-in").disabled = true;
  byId("login-error").textContent = "";
  const result = await call("POST", "/auth/login", { body, bearer: null });
  byId("sign-in").disabled = false;
  if (result.ok && typeof result.data?.access_token === "string") {
    form.reset();
    epoch += 1;
    token = null;
    expired = null;
    const fresh = adopt(result.data.access_token, result.data.expires_in);
    signedIn(fresh.claims.name ?? fresh.claims.sub);
    tell("signed-in");
    say(`Signed in as ${user}`);
    return;
  }
  const reasons = {
    invalid_credentials: "That user name and password do not belong together.",
    rate_limited: "Too many attempts. Wait a moment, then try again.",
    store_unavailable: "The server cannot reach its session store. Try again shortly.",
    no_answer: "The server did not answer.",
  };
  byId("login-error").textContent = reasons[result.code] ?? `Signing in failed (${result.status} ${result.code}).`;
}

async function signOut(path) {
  const result = await call("POST", path);
  if (result.ok || result.status === 401) {
    signedOut();
    tell("signed-out");
    say("Signed out");
  } else {
    say(`Signing out failed: ${result.status} ${result.code}`);
  }
}

// Other tabs of this browser share the cookie, not the access token: they are told that something changed, never a token.
const channel = "BroadcastChannel" in window ? new BroadcastChannel("auth-tower-demo") : null;
const tell = (what) => channel?.postMessage(what);
channel?.addEventListener("message", ({ data }) => {
  if (data !== "signed-in" && data !== "signed-out") return;
  signedOut();
  restore();
});

// ---------------------------------------------------------------- the race

function layLanes(lane) {
  const lanes = Array.from({ length: RACE_SIZE }, () => element("li", { data: { lane } }));
  byId("race-lanes").replaceChildren(...lanes);
  return lanes;
}

async function race() {
  const button = byId("race");
  const result = byId("race-result");
  button.disabled = true;
  result.dataset.state = "running";
  result.textContent = "Racing…";
  const lanes = layLanes("waiting");

  const started = performance.now();
  const seen = new Map(); // access token → its number, in order of arrival
  const generations = new Set();
  const outcomes = await Promise.all(
    lanes.map(async (lane) => {
      const outcome = await call("GET", "/api/me", { bearer: null });
      if (!outcome.ok) {
        lane.dataset.lane = "failed";
        lane.textContent = "×";
      } else if (outcome.fresh) {
        const { raw, claims } = outcome.fresh;
        if (!seen.has(raw)) seen.set(raw, seen.size);
        if (claims.gen !== undefined) generations.add(claims.gen);
        lane.dataset.lane = "token";
        lane.style.setProperty("--hue", seen.get(raw));
        lane.textContent = claims.gen ?? "";
      } else {
        lane.dataset.lane = "served";
        lane.textContent = "✓";
      }
      return outcome;
    }),
  );

  const ok = outcomes.filter((outcome) => outcome.ok).length;
  const failed = RACE_SIZE - ok;
  const numbers = [...generations].sort((a, b) => a - b);
  const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
  result.textContent =
    `${ok} of ${RACE_SIZE} answered in ${Math.round(performance.now() - started)} ms, ${count(failed, "refusal")}: ` +
    `${count(seen.size, "new access token")} of ${count(numbers.length, "generation")}` +
    (numbers.length ? ` (${numbers.join(", ")}).` : ".");
  result.dataset.state = failed ? "bad" : "good";
  Object.assign(result.dataset, { ok, failed, distinct: seen.size, generations: numbers.length });
  button.disabled = false;

  const refused = outcomes.find((outcome) => outcome.status === 401 && outcome.born === epoch);
  if (refused) {
    if (user) await restore();
  } else if (ok && !user) {
    await restore();
  } else {
    loadSessions();
  }
}

// ---------------------------------------------------------------- the list of sessions

async function loadSessions() {
  if (!user) return;
  listing += 1;
  const mine = listing;
  const result = await call("GET", "/auth/sessions");
  // A list that was asked for earlier must not replace one that was asked for later.
  if (mine !== listing) return;
  if (result.status === 401 && result.born === epoch) {
    forget();
    await restore();
  } else if (Array.isArray(result.data?.sessions)) {
    byId("sessions").replaceChildren(...result.data.sessions.map(sessionItem));
  }
}

function sessionItem(session) {
  const name = session.device || describe(session.user_agent) || "Unnamed device";
  const facts = [
    ["Signed in", session.created_at],
    ["Last seen", session.last_seen_at],
  ].map(([label, time]) =>
    element("span", { text: `${label} ` }, element("time", { text: ago(time), datetime: time ?? "", title: time ?? "" })),
  );
  if (session.ip) facts.push(element("span", { text: session.ip }));
  if (session.device && session.user_agent) {
    facts.push(element("span", { text: describe(session.user_agent), title: session.user_agent }));
  }
  const end = element("button", {
    text: "End",
    type: "button",
    className: "danger",
    "aria-label": `End the session on ${name}`,
    data: { end: session.id },
  });
  end.addEventListener("click", () => endSession(session, end));
  return element(
    "li",
    { data: { sessionId: session.id, current: String(Boolean(session.current)) } },
    deviceIcon(),
    element(
      "div",
      {},
      element("p", { className: "session-name" }, name, session.current && element("span", { className: "badge", text: "this one" })),
      element("p", { className: "session-facts" }, ...facts),
    ),
    end,
  );
}

async function endSession(session, button) {
  button.disabled = true;
  const result = await visit("DELETE", `/auth/sessions/${encodeURIComponent(session.id)}`);
  button.disabled = false;
  if (!result.ok) {
    if (result.status === 404) loadSessions();
  } else if (session.current) {
    signedOut();
    tell("signed-out");
  } else {
    loadSessions();
  }
}

function deviceIcon() {
  const svg = "http://www.w3.org/2000/svg";
  const icon = document.createElementNS(svg, "svg");
  icon.setAttribute("viewBox", "0 0 24 24");
  icon.setAttribute("class", "session-icon");
  icon.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(svg, "path");
  path.setAttribute("d", "M4 5h16v11H4zM2 20h20");
  icon.append(path);
  return icon;
}

function describe(agent) {
  if (!agent) return "";
  const first = (table) => table.find(([pattern]) => pattern.test(agent))?.[1];
  const browser = first([
    [/Edg\//, "Edge"],
    [/OPR\//, "Opera"],
    [/Firefox\//, "Firefox"],
    [/Chrom(e|ium)\//, "Chrome"],
    [/Safari\//, "Safari"],
    [/^curl\//, "curl"],
  ]);
  const system = first([
    [/Android/, "Android"],
    [/iPhone|iPad/, "iOS"],
    [/Mac OS X/, "macOS"],
    [/Windows/, "Windows"],
    [/Linux/, "Linux"],
  ]);
  if (browser && system) return `${browser} on ${system}`;
  return browser ?? system ?? agent.slice(0, 40);
}

function ago(time) {
  const seconds = Math.round((Date.now() - Date.parse(time)) / 1000);
  if (!Number.isFinite(seconds)) return "unknown";
  if (seconds < 5) return "just now";
  const [size, unit] = [
    [86400, "day"],
    [3600, "hour"],
    [60, "minute"],
    [1, "second"],
  ].find(([size]) => seconds >= size);
  return new Intl.RelativeTimeFormat("en").format(-Math.floor(seconds / size), unit);
}

// ---------------------------------------------------------------- the log

function logCall({ method, path, status, code, took, flags, exchanged, data }) {
  const kind = status === 0 || status >= 500 ? "failed" : status >= 400 ? "refused" : "fine";
  const shown = typeof data?.access_token === "string" ? { ...data, access_token: "…" } : data;
  const body = shown === null ? "(no body)" : typeof shown === "string" ? shown.slice(0, 2000) : JSON.stringify(shown, null, 2);
  const verb = { POST: " verb-post", DELETE: " verb-delete" }[method] ?? "";
  const item = element(
    "li",
    { data: { status, code, path, method, exchanged: String(exchanged), class: kind } },
    element(
      "details",
      {},
      element(
        "summary",
        {},
        element("span", { className: `verb${verb}`, text: method }),
        element("span", { className: "path", text: path, title: path }),
        element("span", { className: "status", text: status || "—" }),
        element(
          "span",
          { className: "meta" },
          code && element("span", { className: "code", text: code }),
          ...flags.map((flag) => element("span", { className: "flag", text: flag })),
          element("span", { text: `${Math.round(took)} ms` }),
          element("time", { text: new Date().toLocaleTimeString([], { hour12: false }) }),
        ),
      ),
      element("pre", { text: body }),
    ),
  );
  const log = byId("log");
  log.prepend(item);
  while (log.children.length > LOG_LIMIT) log.lastElementChild.remove();
}

// ---------------------------------------------------------------- showing the state

function show() {
  const there = user !== null;
  document.body.dataset.signedIn = String(there);
  byId("who").textContent = there ? user : "nobody";
  byId("sign-in-card").hidden = there;
  for (const node of document.querySelectorAll(".when-signed-in")) node.hidden = !there;
}

function claimRows(values) {
  const time = (seconds) => new Date(seconds * 1000).toLocaleTimeString([], { hour12: false });
  return Object.entries(values).map(([name, value]) => {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    const isTime = ["exp", "iat", "nbf", "auth_time"].includes(name) && Number.isFinite(value);
    return element(
      "div",
      {},
      element("dt", { text: name }),
      element("dd", { text: isTime ? `${text} ` : text }, isTime && element("small", { text: time(value) })),
    );
  });
}

function showToken() {
  byId("token-card").querySelector(".token").dataset.empty = String(token === null);
  byId("token-header").replaceChildren(...claimRows(token?.header ?? {}));
  byId("token-claims").replaceChildren(...claimRows(token?.claims ?? {}));
  tick();
}

function clock(seconds) {
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

function tick() {
  const left = token ? Math.max(0, Math.ceil((token.endsAt - Date.now()) / 1000)) : 0;
  const state = !token ? "none" : left === 0 ? "expired" : left <= token.lifetime / 5 ? "low" : "live";
  if (state === "expired") expired = token;
  byId("token-ring").dataset.state = state;
  byId("token-ring-value").style.setProperty("--spent", token?.lifetime ? 100 - (100 * left) / token.lifetime : 100);
  byId("token-countdown").textContent = { none: "none", expired: "expired" }[state] ?? clock(left);
  byId("token-note").textContent = { none: "no token", expired: "next call exchanges" }[state] ?? "left";
  byId("forget-token").disabled = token === null;
  byId("use-expired").disabled = expired === null;
  byId("expired-hint").hidden = expired !== null;
}

setInterval(tick, 500);
setInterval(() => {
  for (const time of document.querySelectorAll("#sessions time")) time.textContent = ago(time.dateTime);
}, 15_000);

// ---------------------------------------------------------------- wiring

const onClick = (id, action) => byId(id).addEventListener("click", action);

byId("login-form").addEventListener("submit", signIn);
for (const chip of document.querySelectorAll("[data-fill]")) {
  chip.addEventListener("click", () => {
    byId("username").value = chip.dataset.fill;
    byId("password").value = chip.querySelector("span").textContent;
    byId("sign-in").focus();
  });
}
onClick("sign-out", () => signOut("/auth/logout"));
onClick("sign-out-everywhere", () => signOut("/auth/logout-all"));
onClick("call-me", () => visit("GET", "/api/me"));
onClick("call-public", () => visit("GET", "/api/public"));
onClick("call-admin", () => visit("GET", "/api/admin"));
onClick("call-notes", () => visit("POST", "/api/notes", { body: { text: byId("note-text").value } }));
onClick("call-refresh", () => visit("POST", "/auth/refresh", { bearer: null }));
onClick("forget-token", () => {
  forget();
  say("The access token is forgotten; the next call is exchanged.");
});
onClick("use-expired", () => visit("GET", "/api/me", { bearer: expired?.raw ?? null }));
onClick("race", race);
onClick("refresh-sessions", loadSessions);
onClick("clear-log", () => byId("log").replaceChildren());

layLanes("idle");
show();
showToken();
restore();
