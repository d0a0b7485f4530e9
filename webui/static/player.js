// The one player of the page: any play button hands it a piece, the bar below controls it, rolls follow it.

import { setIcon, toast } from "./actions.js";
import { loadSamples, Synth } from "./synth.js";

const synth = new Synth();
const others = "BroadcastChannel" in window ? new BroadcastChannel("cadenza-player") : null;
const pieces = new Map();
let current = null;
let paused = 0;
let frame = 0;

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

/** The notes of a piece by their address, fetched once. */
export function loadNotes(address) {
  if (!pieces.has(address)) {
    const loading = fetch(address).then((answer) => {
      if (!answer.ok) throw new Error("These notes cannot be loaded; load the page again.");
      return answer.json();
    });
    loading.catch(() => pieces.delete(address));
    pieces.set(address, loading);
    if (pieces.size > 40) pieces.delete(pieces.keys().next().value);
  }
  return pieces.get(address);
}

export const player = {
  get address() { return current?.address ?? ""; },
  get playing() { return synth.running; },
  get position() { return Math.max(0, synth.running ? synth.position : paused); },

  async play(piece, from = null) {
    synth.wake();
    if (current?.address !== piece.address) {
      synth.stop();
      paused = 0;
      let notes;
      try { notes = await loadNotes(piece.address); } catch (error) { toast(error.message, { bad: true }); return; }
      current = { ...piece, notes };
    }
    if (from !== null) paused = from;
    if (paused >= current.notes.seconds - 0.05) paused = 0;
    synth.start(current.notes, Number(current.program), paused);
    others?.postMessage("playing");
    show();
  },

  pause() {
    if (!synth.running) return;
    paused = synth.position;
    synth.stop();
    show();
  },

  toggle() { if (synth.running) this.pause(); else if (current) this.play(current); },

  seek(seconds) {
    if (!current) return;
    paused = Math.min(Math.max(0, seconds), current.notes.seconds);
    if (synth.running) synth.start(current.notes, Number(current.program), paused);
    show();
  },

  close() {
    synth.stop();
    current = null;
    paused = 0;
    show();
  },
};

const pieceOf = (button) => ({ address: button.dataset.play, title: button.dataset.title, href: button.dataset.href, program: button.dataset.program });

function show() {
  const bar = document.querySelector("[data-player]");
  bar.hidden = !current;
  document.body.classList.toggle("has-player", Boolean(current));
  markButtons();
  if (current) {
    const title = bar.querySelector("[data-player-title]");
    title.textContent = current.title;
    title.href = current.href;
    bar.querySelector("[data-player-end]").textContent = clock(current.notes.seconds);
    const button = bar.querySelector("[data-player-toggle]");
    setIcon(button, synth.running ? "pause-fill" : "play-fill");
    button.setAttribute("aria-label", synth.running ? "Pause" : "Play");
  }
  if (!frame) frame = requestAnimationFrame(draw);
}

function markButtons() {
  for (const button of document.querySelectorAll("[data-play]")) {
    const on = Boolean(current) && synth.running && button.dataset.play === current.address;
    if (button.getAttribute("aria-pressed") === String(on)) continue;
    button.setAttribute("aria-pressed", String(on));
    setIcon(button, on ? "pause-fill" : "play-fill");
    const words = button.querySelector("[data-play-words]");
    if (words) words.textContent = on ? "Pause" : "Play";
  }
  for (const card of document.querySelectorAll(".take")) {
    const mine = Boolean(current) && card.querySelector("[data-play]")?.dataset.play === current.address;
    card.classList.toggle("playing", mine);
    let cursor = card.querySelector(".take-cursor");
    if (mine && !cursor) {
      cursor = document.createElement("div");
      cursor.className = "take-cursor";
      cursor.dataset.keep = "";
      card.querySelector(".take-roll").append(cursor);
    } else if (!mine) {
      cursor?.remove();
    }
  }
}

function draw() {
  frame = 0;
  const now = player.position;
  const total = current?.notes.seconds || 1;
  if (current) {
    const bar = document.querySelector("[data-player]");
    const seek = bar.querySelector("[data-player-seek]");
    if (!seek.matches(":active")) seek.value = Math.round((now / total) * 1000);
    seek.setAttribute("aria-valuetext", `${clock(now)} of ${clock(total)}`);
    bar.querySelector("[data-player-now]").textContent = clock(Math.min(now, total));
    // The small pictures leave a margin of 3 of their 320 pixels.
    const share = (3 + 314 * Math.min(1, now / total)) / 320;
    for (const cursor of document.querySelectorAll(".take.playing .take-cursor")) cursor.style.left = `${share * 100}%`;
  }
  document.dispatchEvent(new CustomEvent("cadenza:position", { detail: { address: player.address, seconds: now, playing: synth.running } }));
  if (synth.running && now > total + 0.4) {
    player.pause();
    paused = 0;
    show();
  }
  if (synth.running && !frame) frame = requestAnimationFrame(draw);
}

function pressed(event) {
  if (event.code !== "Space" || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, button, a, summary, dialog, [contenteditable]")) return;
  const main = document.querySelector("[data-play-main]");
  if (!current && !main) return;
  event.preventDefault();
  if (current && (!main || current.address === main.dataset.play)) player.toggle();
  else player.play(pieceOf(main));
}

export function startPlayer() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-play]");
    if (button) {
      if (current?.address === button.dataset.play && synth.running) player.pause();
      else player.play(pieceOf(button));
    }
    if (event.target.closest("[data-player-toggle]")) player.toggle();
    if (event.target.closest("[data-player-close]")) player.close();
  });
  document.querySelector("[data-player-seek]").addEventListener("input", (event) => player.seek((event.target.value / 1000) * (current?.notes.seconds ?? 0)));
  const volume = document.querySelector("[data-player-volume]");
  const setVolume = () => { synth.volume = (volume.value / 100) ** 1.5; };
  try { volume.value = localStorage.getItem("cadenza-volume") ?? 80; } catch { /* Not remembered then. */ }
  setVolume();
  volume.addEventListener("input", () => { setVolume(); try { localStorage.setItem("cadenza-volume", volume.value); } catch { /* As above. */ } });
  document.addEventListener("keydown", pressed);
  document.addEventListener("cadenza:swapped", markButtons);
  if (others) others.onmessage = () => player.pause();
  const first = document.querySelector("[data-play]");
  if (first) setTimeout(() => loadSamples(Number(first.dataset.program)), 400);
}
