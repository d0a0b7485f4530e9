// Keeps the marked regions of the page up to date: <section data-live="job:12 jobs" data-part="live_jobs">.

import { morphChildren } from "./morph.js";
import { refreshTimes } from "./times.js";

const SHORTEST_GAP = 250;
const POLL = 4000;
const regions = new Map();
const listeners = new Set();
const script = document.getElementById("app-script");

/** Call `action(topics)` whenever something changes; "*" means perhaps anything. */
export function onChange(action) { listeners.add(action); }

export function touches(topics, wanted) {
  return topics.includes("*") || wanted.some((name) => topics.includes(name));
}

// What a region shows may change which topics it needs, such as the job that tries a failed one again.
function wantedBy(node) {
  const inner = [...node.querySelectorAll("[data-live-too]")].map((each) => each.dataset.liveToo);
  return [node.dataset.live, ...inner].flatMap((text) => text.split(" "));
}

function announce(topics) {
  for (const action of listeners) action(topics);
  for (const node of document.querySelectorAll("[data-live]")) {
    if (touches(topics, wantedBy(node))) refresh(node);
  }
}

/** Fetch a region soon: coalesced, at most four times a second, never while hidden or being typed into. */
export function refresh(node) {
  const known = regions.get(node) ?? { last: 0, timer: 0, busy: false, again: false, etag: "" };
  regions.set(node, known);
  if (known.busy) { known.again = true; return; }
  if (known.timer) return;
  const wait = Math.max(0, known.last + SHORTEST_GAP - Date.now());
  known.timer = setTimeout(() => { known.timer = 0; load(node, known); }, wait);
}

function held(node) {
  const active = document.activeElement;
  const typing = active && node.contains(active) && active.matches("textarea, select, input:not([type=checkbox]):not([type=radio])");
  return document.hidden || typing || node.querySelector("dialog[open], [data-dragging]");
}

async function load(node, known) {
  if (!node.isConnected) { regions.delete(node); return; }
  if (held(node)) { known.waiting = true; return; }
  known.waiting = false;
  known.busy = true;
  known.last = Date.now();
  try {
    const address = new URL(node.dataset.src || location.href, location.href);
    address.hash = "";
    address.searchParams.set("_part", node.dataset.part);
    const headers = known.etag ? { "If-None-Match": known.etag } : {};
    const answer = await fetch(address, { headers, cache: "no-store" });
    if (answer.status === 200) {
      known.etag = answer.headers.get("ETag") ?? "";
      const fresh = document.createElement("template");
      fresh.innerHTML = await answer.text();
      if (!held(node)) {
        morphChildren(node, fresh.content);
        // The page itself must change (an import has ended): this region alone cannot show it.
        if (node.querySelector("[data-reload-now]")) { location.reload(); return; }
        refreshTimes(node);
        node.dispatchEvent(new CustomEvent("cadenza:swapped", { bubbles: true }));
      } else {
        known.etag = "";
        known.waiting = true;
      }
    } else if (answer.status === 404 || answer.status === 401) {
      location.reload();
    }
  } catch { /* The server is away for a moment; the next change or look brings it up to date. */ }
  known.busy = false;
  if (known.again) { known.again = false; refresh(node); }
}

function catchUp() {
  for (const [node, known] of regions) if (known.waiting) refresh(node);
}

function show(state) {
  for (const dot of document.querySelectorAll("[data-live-state]")) {
    dot.dataset.liveState = state;
    const word = { open: "Live", away: "Reconnecting", waiting: "Connecting", poll: "Live" }[state];
    dot.title = word;
    const label = dot.querySelector(".live-word");
    if (label && label.textContent !== word) label.textContent = word;
  }
}

export function startLive() {
  if (!script.dataset.feed) return;  // nobody is signed in
  document.addEventListener("visibilitychange", () => { if (!document.hidden) announce(["*"]); });
  // What was done here is shown at once, whether or not the feed is there.
  document.addEventListener("cadenza:done", () => announce(["*"]));
  document.addEventListener("focusout", () => setTimeout(catchUp, 200));
  document.addEventListener("close", () => setTimeout(catchUp, 200), true);
  if (!("SharedWorker" in window)) {
    show("poll");
    setInterval(() => { if (!document.hidden) announce(["*"]); }, POLL);
    return;
  }
  const worker = new SharedWorker(script.dataset.worker, { name: "cadenza-live" });
  worker.port.onmessage = ({ data }) => {
    if (data.state) show(data.state);
    if (data.topics) announce(data.topics);
  };
  const hello = () => worker.port.postMessage({ hello: new URL(script.dataset.feed, location.href).href });
  hello();
  window.addEventListener("pagehide", () => worker.port.postMessage({ bye: true }));
  window.addEventListener("pageshow", (event) => { if (event.persisted) { hello(); announce(["*"]); } });
}
