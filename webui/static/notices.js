// Tells in the browser that jobs have ended: a notification where that is allowed, else a message on the page.

import { toast } from "./actions.js";
import { onChange, refresh } from "./live.js";

const KEY = "cadenza-notice";
const data = document.getElementById("app-script").dataset;
const WORDS = {
  granted: "This browser shows notifications from Cadenza, while a page of it is open.",
  default: "This browser has not been asked yet whether Cadenza may show notifications.",
  denied: "This browser refuses notifications from Cadenza. Allow them in its settings for this site (the sign beside the address); until then a message on the open page tells you.",
  none: "This browser shows no notifications here (it wants HTTPS, or has none); a message on the open page tells you instead.",
};
let wanted = false;
let busy = false;
let again = false;

const permission = () => ("Notification" in window && window.isSecureContext ? Notification.permission : "none");

function showPermission() {
  const state = permission();
  for (const node of document.querySelectorAll("[data-permission-state]")) {
    if (node.textContent !== WORDS[state]) node.textContent = WORDS[state];
  }
  for (const node of document.querySelectorAll("[data-permission-ask]")) node.hidden = state !== "default";
  for (const node of document.querySelectorAll("[data-permission-line]")) node.hidden = !wanted || state === "granted";
}

function tell(item) {
  if (permission() === "granted") {
    try {
      // The tag keeps two tabs from showing the same twice.
      const shown = new Notification(item.title, { body: item.text, icon: data.logo, tag: `${KEY}-${item.id}` });
      shown.onclick = () => { window.focus(); location.assign(item.href); shown.close(); };
      return;
    } catch { /* Some phones allow this to service workers only. */ }
  }
  toast(`${item.title}. ${item.text}`, { bad: item.bad, href: item.href });
}

async function look() {
  if (busy) { again = true; return; }
  busy = true;
  try {
    const before = localStorage.getItem(KEY);
    const answer = await fetch(before === null ? data.news : `${data.news}?after=${before}`, { headers: { Accept: "application/json" }, cache: "no-store" });
    if (answer.ok) {
      const news = await answer.json();
      wanted = news.wanted;
      localStorage.setItem(KEY, news.last);
      news.items.forEach(tell);
      showPermission();
    }
  } catch { /* The server is away; the next change or page looks again. */ }
  busy = false;
  if (again) { again = false; look(); }
}

/** Look when a message for this person was written; one of all open tabs does, until it is closed. */
function lead() {
  look();
  onChange((topics) => { if (topics.includes("*") || topics.some((topic) => topic.startsWith("notice:"))) look(); });
}

export function startNotices() {
  if (!data.news) return;
  showPermission();
  document.addEventListener("click", async (event) => {
    if (!event.target.closest("[data-permission-ask]")) return;
    await Notification.requestPermission();
    showPermission();
  });
  onChange((topics) => {
    if (topics.some((topic) => topic.startsWith("notice:"))) document.querySelectorAll("[data-notices]").forEach(refresh);
  });
  if (document.querySelector("[data-permission-line]")) askWhetherWanted();
  if (navigator.locks) navigator.locks.request(KEY, () => { lead(); return new Promise(() => {}); });
  else lead();
}

// The line about a missing permission is for every tab, not only for the one that looks.
async function askWhetherWanted() {
  if (permission() === "granted") return;
  try {
    const answer = await fetch(data.news, { headers: { Accept: "application/json" }, cache: "no-store" });
    if (answer.ok) { wanted = (await answer.json()).wanted; showPermission(); }
  } catch { /* The next page asks again. */ }
}
