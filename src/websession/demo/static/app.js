// Makes the page live: without it, every form still works.
"use strict";

const base = document.body.dataset.base;
const REQUESTS = 200;
const MOST_FILES = 20;
const byId = (id) => document.getElementById(id);

let state = null; // what /api/state said last
let stateAt = 0; // and when, in milliseconds
let ended = false; // whether the server said that the session has ended

// Talking to the server

async function ask(path, options = {}) {
  const answer = await fetch(base + path, {
    headers: { Accept: "application/json" },
    credentials: "same-origin",
    ...options,
  });
  const isJson = (answer.headers.get("Content-Type") || "").includes("json");
  const body = isJson ? await answer.json() : { error: await answer.text() };
  return { status: answer.status, ...body };
}

const post = (path, fields) =>
  ask(path, { method: "POST", body: new URLSearchParams(fields) });

// Showing

function say(sentence) {
  if (byId("notice").textContent !== sentence) {
    byId("notice").textContent = sentence; // read aloud, so not each time
  }
  byId("notice").hidden = !sentence;
}

const seconds = (value) => `${Math.round(value)} s`;

function left(value) {
  const gone = (performance.now() - stateAt) / 1000;
  return seconds(Math.max(0, value - gone));
}

function showTimes() {
  const session = state && state.session;
  byId("idle").textContent = session ? left(session.idle_left) : "-";
  byId("life").textContent = session ? left(session.life_left) : "-";
}

function showNotes(notes) {
  for (const form of document.querySelectorAll("form[data-note]")) {
    const area = form.querySelector("textarea");
    // What is being typed here stays.
    if (area !== document.activeElement && area.value === form.stored) {
      area.value = notes[form.dataset.note];
    }
    form.stored = notes[form.dataset.note];
  }
}

function show(now) {
  const before = state;
  state = now;
  stateAt = performance.now();
  const session = now.session;
  byId("pid").textContent = now.pid;
  byId("handle").textContent = session
    ? session.handle
    : "none: nothing is stored yet";
  byId("user").textContent = (session && session.user) || "nobody";
  byId("counter").textContent = session ? session.counter : 0;
  showTimes();
  const had = before && before.session;
  if (now.notice || (session && (!had || before.notice))) {
    say(now.notice);
  }
  // Of a session that has ended its texts stay, to be saved once more.
  ended = !session && (ended || Boolean(now.notice));
  if (!ended) {
    showNotes(now.notes);
  }
  byId("total").textContent = now.total;
  showFiles(now.files, before && before.files);
}

function cells(row, texts) {
  for (const text of texts) {
    row.insertCell().textContent = text;
  }
}

function fileRow(file, kind) {
  const row = document.createElement("tr");
  row.className = `${kind} ${file.mine ? "mine" : ""}`;
  const written = kind === "gone" ? "gone" : `${seconds(file.age)} ago`;
  cells(row, [file.name, file.bytes, written]);
  return row;
}

function showFiles(files, before) {
  const names = (list) => new Set(list.map((each) => each.name));
  const old = names(before || files);
  const now = names(files);
  const kind = (file) => (old.has(file.name) ? "" : "new");
  // If not all are shown, some of them are only further down.
  const gone = files.length < MOST_FILES ? before || [] : [];
  const rows = [
    ...files.map((each) => fileRow(each, kind(each))),
    ...gone
      .filter((each) => !now.has(each.name))
      .map((each) => fileRow(each, "gone")),
  ];
  byId("files").tBodies[0].replaceChildren(...rows);
}

async function refresh() {
  show(await ask("/api/state"));
}

// Forms, without leaving the page

function outcome(action, hadSession) {
  if (action === "slow" && hadSession && !state.session) {
    return "The slow request is done; the session is still gone.";
  }
  return action === "logout" ? "Logged out." : "";
}

async function submit(event) {
  event.preventDefault();
  const form = event.target;
  const button = event.submitter;
  const fields = new FormData(form, button);
  const action = fields.get("action");
  if (action === "hammer") {
    return hammer(button);
  }
  const hadSession = Boolean(state && state.session);
  button.disabled = true;
  if (action === "slow") {
    byId("slow").textContent = "under way…";
  }
  try {
    const answer = await post("/", fields);
    await refresh();
    if (action === "login" && answer.status === 200) {
      byId("name").value = "";
    }
    say(answer.error || outcome(action, hadSession) || state.notice);
  } catch {
    say("The server does not answer.");
  }
  button.disabled = false;
  if (action === "slow") {
    byId("slow").textContent = "done";
  }
}

// The counter

function showWorkers(workers) {
  const table = byId("workers");
  const rows = [...workers].sort().map((each) => {
    const row = document.createElement("tr");
    cells(row, each);
    return row;
  });
  table.tBodies[0].replaceChildren(...rows);
  table.hidden = false;
}

function verdict(good, sentence) {
  byId("verdict").className = good ? "good" : "bad";
  byId("verdict").textContent = sentence;
}

async function shoot(first) {
  const workers = new Map();
  const counters = new Set();
  let answered = 0;
  const one = async () => {
    const answer = await post("/api/increment", {});
    answered += 1;
    byId("progress").value = answered;
    if (answer.status === 200) {
      counters.add(answer.counter);
      workers.set(answer.pid, (workers.get(answer.pid) || 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: REQUESTS }, one));
  await refresh();
  showWorkers(workers);
  const now = state.session ? state.session.counter : 0;
  const noun = workers.size === 1 ? "process" : "processes";
  const good = counters.size === REQUESTS && now === first + REQUESTS;
  verdict(
    good,
    `${REQUESTS} requests, ${workers.size} ${noun}: ${first} became ${now}` +
      (good ? ", exact." : ": that is wrong, or you clicked meanwhile."),
  );
}

async function hammer(button) {
  button.disabled = true;
  byId("progress").hidden = false;
  byId("progress").value = 0;
  verdict(true, "");
  try {
    await refresh();
    if (!state.session) {
      // All of them need the same session: this begins one.
      await post("/", { action: "increment" });
      await refresh();
    }
    await shoot(state.session.counter);
  } catch {
    verdict(false, "The server does not answer.");
  }
  button.disabled = false;
}

// Begin

for (const form of document.querySelectorAll("form")) {
  form.addEventListener("submit", submit);
}
for (const form of document.querySelectorAll("form[data-note]")) {
  form.stored = form.querySelector("textarea").value;
}
setInterval(showTimes, 1000);
setInterval(() => {
  if (!document.hidden) {
    refresh().catch(() => say("The server does not answer."));
  }
}, 2000);
refresh().catch(() => say("The server does not answer."));
