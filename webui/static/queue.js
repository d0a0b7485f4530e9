// Moving one's own waiting jobs: by dragging their handle, with a mouse or a finger, or by the arrow keys on it.

import { post, toast } from "./actions.js";
import { refresh } from "./live.js";

const region = () => document.querySelector("[data-queue]");
let drag = null;
let focusAfter = "";

/** Rows that the one of `row` may change places with: those of the same list, owner and priority. */
function peers(row) {
  return [...row.parentElement.children].filter((each) => each.hasAttribute("data-movable") && each.dataset.group === row.dataset.group);
}

function say(text) { document.querySelector("[data-moved]").textContent = text; }

async function send(row, values) {
  const data = new FormData();
  for (const [name, value] of Object.entries(values)) data.set(name, value);
  // Where it was put: until the answer comes, the list may be drawn anew from before the move.
  const rows = peers(row);
  const place = `Place ${rows.indexOf(row) + 1} of your ${rows.length}.`;
  try {
    await post(row.querySelector("[data-grip]").dataset.grip, data);
    say(place);
  } catch (error) {
    toast(error.message, { bad: true });
  }
  refresh(region());
}

function key(event) {
  const grip = event.target.closest("[data-grip]");
  const to = { ArrowUp: "up", ArrowDown: "down", Home: "first", End: "last" }[event.key];
  if (!grip || !to || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const row = grip.closest("[data-movable]");
  const rows = peers(row);
  const place = rows.indexOf(row);
  const target = { up: place - 1, down: place + 1, first: 0, last: rows.length - 1 }[to];
  if (target < 0 || target >= rows.length || target === place) { say(place === 0 ? "It is the first of yours already." : "It is the last of yours already."); return; }
  // Shown at once; what the server says comes after it.
  if (target < place) rows[target].before(row); else rows[target].after(row);
  grip.focus();
  focusAfter = row.id;
  send(row, { to });
}

function grab(event) {
  const grip = event.target.closest("[data-grip]");
  if (!grip || event.button !== 0) return;
  event.preventDefault();
  const row = grip.closest("[data-movable]");
  drag = { row, grip, next: row.nextElementSibling, from: peers(row).indexOf(row) };
  row.setAttribute("data-dragging", "");
  grip.focus();
  grip.setPointerCapture(event.pointerId);
}

function go(event) {
  if (!drag) return;
  const { row } = drag;
  for (const other of peers(row)) {
    if (other === row) continue;
    const box = other.getBoundingClientRect();
    const middle = box.top + box.height / 2;
    const isAfter = row.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_FOLLOWING;
    if (isAfter && event.clientY > middle) other.after(row);
    else if (!isAfter && event.clientY < middle) { other.before(row); break; }
  }
}

function drop(event) {
  if (!drag) return;
  const { row, next, from } = drag;
  drag = null;
  row.removeAttribute("data-dragging");
  if (event.type === "pointercancel" || peers(row).indexOf(row) === from) { row.parentElement.insertBefore(row, next); refresh(region()); return; }
  focusAfter = row.id;
  const rows = peers(row);
  const after = rows[rows.indexOf(row) + 1];
  send(row, after ? { before: after.dataset.job } : { to: "last" });
}

export function start() {
  document.addEventListener("keydown", key);
  document.addEventListener("pointerdown", grab);
  document.addEventListener("pointermove", go);
  document.addEventListener("pointerup", drop);
  document.addEventListener("pointercancel", drop);
  document.addEventListener("keydown", (event) => { if (drag && event.key === "Escape") drop(new Event("pointercancel")); });
  region().addEventListener("cadenza:swapped", () => {
    if (!focusAfter) return;
    document.getElementById(focusAfter)?.querySelector("[data-grip]")?.focus();
    focusAfter = "";
  });
}
