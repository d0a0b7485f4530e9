// The large piano roll: drawn on a canvas, scrolled and zoomed in time, clicked to seek, followed by the player.

import { loadNotes, player } from "./player.js";
import { firstAtOrAfter } from "./synth.js";

const HEIGHT = 320, KEYS = 42, BLACK = new Set([1, 3, 6, 8, 10]);
const NAMES = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];

class Roll {
  constructor(box, notes) {
    this.box = box;
    this.notes = notes;
    this.address = box.dataset.roll;
    this.scroll = box.querySelector(".roll-scroll");
    this.canvas = box.querySelector("canvas");
    this.spacer = document.createElement("div");
    this.scroll.append(this.spacer);
    this.low = Math.min(...bounds(notes.pitch, Math.min), 60) - 2;
    this.high = Math.max(...bounds(notes.pitch, Math.max), 72) + 2;
    this.longest = Math.max(0, ...bounds(notes.duration_ms, Math.max));
    this.cursor = 0;
    this.dirty = false;
    const first = Number(box.dataset.first || 100);
    this.view(notes.start_ms.length > first ? "first" : "whole");
    new ResizeObserver(() => this.view(this.mode, true)).observe(this.scroll);
    this.scroll.addEventListener("scroll", () => this.redraw());
    this.canvas.addEventListener("click", (event) => this.seek(event));
    this.scroll.addEventListener("keydown", (event) => this.key(event));
    this.scroll.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    document.addEventListener("cadenza:theme", () => this.redraw());
    document.addEventListener("cadenza:position", ({ detail }) => { if (detail.address === this.address) this.follow(detail); });
    const root = box.closest(".card-c") ?? document;
    root.querySelectorAll("[data-roll-view]").forEach((button) => button.addEventListener("click", () => this.view(button.dataset.rollView)));
    root.querySelectorAll("[data-roll-zoom]").forEach((button) => button.addEventListener("click", () => this.zoom(Number(button.dataset.rollZoom))));
  }

  get width() { return this.scroll.clientWidth; }
  get seconds() { return Math.max(this.notes.seconds, 0.5); }

  /** "first": the first 100 notes fill the width; "whole": everything does; "free": as zoomed. */
  view(mode, resized = false) {
    this.mode = mode;
    const room = Math.max(80, this.width - KEYS - 12);
    if (mode === "whole") this.scale = room / this.seconds;
    if (mode === "first") {
      const last = Math.min(Number(this.box.dataset.first || 100), this.notes.start_ms.length) - 1;
      this.scale = room / Math.max(0.5, ((this.notes.start_ms[last] ?? 0) + (this.notes.duration_ms[last] ?? 0)) / 1000);
    }
    this.layout();
    if (!resized && mode !== "free") this.scroll.scrollLeft = 0;
    const root = this.box.closest(".card-c") ?? document;
    root.querySelectorAll("[data-roll-view]").forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.rollView === mode)));
  }

  zoom(factor, at = (this.width - KEYS) / 2) {
    const room = Math.max(80, this.width - KEYS - 12);
    const time = (this.scroll.scrollLeft + at) / this.scale;
    this.scale = Math.min(400, Math.max(room / this.seconds, this.scale * factor));
    this.view("free");
    this.scroll.scrollLeft = time * this.scale - at;
    this.redraw();
  }

  wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    this.zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2, Math.max(0, event.offsetX - KEYS));
  }

  layout() {
    const total = KEYS + this.seconds * this.scale + 12;
    this.spacer.style.width = `${Math.max(this.width, total)}px`;
    this.spacer.style.height = "0px";
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    this.canvas.style.width = `${this.width}px`;
    this.canvas.style.height = `${HEIGHT}px`;
    this.canvas.width = Math.round(this.width * ratio);
    this.canvas.height = Math.round(HEIGHT * ratio);
    this.ratio = ratio;
    this.redraw();
  }

  seek(event) {
    const seconds = Math.max(0, (event.offsetX - KEYS + this.scroll.scrollLeft) / this.scale);
    this.jump(seconds);
  }

  jump(seconds) {
    if (player.address === this.address) { player.seek(seconds); return; }
    const main = document.querySelector(`[data-play="${CSS.escape(this.address)}"]`);
    if (main) player.play({ address: this.address, title: main.dataset.title, href: main.dataset.href, program: main.dataset.program }, Math.min(seconds, this.seconds));
  }

  key(event) {
    const steps = { ArrowLeft: -2, ArrowRight: 2, PageUp: -10, PageDown: 10 };
    if (event.key in steps && player.address === this.address) {
      event.preventDefault();
      player.seek(player.position + steps[event.key]);
    } else if (event.key === "+" || event.key === "=") this.zoom(1.4);
    else if (event.key === "-") this.zoom(1 / 1.4);
  }

  follow({ seconds, playing }) {
    this.cursor = seconds;
    const x = seconds * this.scale - this.scroll.scrollLeft;
    const room = this.width - KEYS;
    if (playing && (x > room * 0.92 || x < 0)) this.scroll.scrollLeft = Math.max(0, seconds * this.scale - room * 0.15);
    this.redraw();
  }

  redraw() {
    if (this.dirty) return;
    this.dirty = true;
    requestAnimationFrame(() => { this.dirty = false; this.draw(); });
  }

  draw() {
    const pen = this.canvas.getContext("2d");
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const rows = this.high - this.low + 1;
    const foot = 18;
    const rowHeight = (HEIGHT - foot) / rows;
    const y = (pitch) => (this.high - pitch) * rowHeight;
    const left = this.scroll.scrollLeft;
    const x = (ms) => KEYS + (ms / 1000) * this.scale - left;
    pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    pen.fillStyle = colour("--roll-bg");
    pen.fillRect(0, 0, this.width, HEIGHT);
    pen.fillStyle = colour("--roll-row");
    for (let pitch = this.low; pitch <= this.high; pitch++) if (BLACK.has(pitch % 12)) pen.fillRect(KEYS, y(pitch), this.width, rowHeight);
    pen.fillStyle = colour("--roll-line");
    const steps = [0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200];
    const step = steps.find((seconds) => seconds * this.scale >= 62) ?? 3600;
    for (let at = Math.floor(left / this.scale / step) * step; at * this.scale - left < this.width; at += step) pen.fillRect(Math.round(x(at * 1000)), 0, 1, HEIGHT - foot);
    for (let pitch = this.low; pitch <= this.high; pitch++) if (pitch % 12 === 0) pen.fillRect(KEYS, Math.round(y(pitch) + rowHeight), this.width, 1);
    this.drawNotes(pen, x, y, rowHeight, colour("--roll-note"));
    if (player.address === this.address) {
      pen.fillStyle = colour("--roll-cursor");
      pen.fillRect(Math.round(x(this.cursor * 1000)) - 1, 0, 2, HEIGHT - foot);
    }
    this.drawFrame(pen, { x, y, rowHeight, step, left, foot, colour });
  }

  drawNotes(pen, x, y, rowHeight, colour) {
    const { start_ms, duration_ms, pitch, velocity } = this.notes;
    const from = (this.scroll.scrollLeft / this.scale) * 1000 - this.longest - 100;
    const until = ((this.scroll.scrollLeft + this.width) / this.scale) * 1000;
    pen.fillStyle = colour;
    const high = Math.max(1.6, rowHeight - Math.min(1, rowHeight * 0.15));
    for (let row = firstAtOrAfter(start_ms, from); row < start_ms.length && start_ms[row] <= until; row++) {
      pen.globalAlpha = 0.35 + 0.65 * (velocity[row] / 127);
      const wide = Math.max(1.5, (duration_ms[row] / 1000) * this.scale - (this.scale > 30 ? 1 : 0));
      if (wide > 5 && high > 4) { pen.beginPath(); pen.roundRect(x(start_ms[row]), y(pitch[row]), wide, high, 1.8); pen.fill(); }
      else pen.fillRect(x(start_ms[row]), y(pitch[row]), wide, high);
    }
    pen.globalAlpha = 1;
  }

  drawFrame(pen, { x, y, rowHeight, step, left, foot, colour }) {
    pen.fillStyle = colour("--surface");
    pen.fillRect(0, 0, KEYS, HEIGHT);
    pen.fillRect(0, HEIGHT - foot, this.width, foot);
    pen.fillStyle = colour("--line");
    pen.fillRect(KEYS - 1, 0, 1, HEIGHT - foot);
    pen.fillRect(0, HEIGHT - foot, this.width, 1);
    pen.fillStyle = colour("--ink-3");
    pen.font = "11px " + getComputedStyle(document.body).fontFamily;
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    for (let pitch = this.low; pitch <= this.high; pitch++) if (pitch % 12 === 0) pen.fillText(`C${pitch / 12 - 1}`, KEYS - 8, Math.max(8, Math.min(HEIGHT - foot - 8, y(pitch) + rowHeight / 2)));
    pen.textAlign = "center";
    for (let at = Math.ceil(left / this.scale / step) * step; at <= this.seconds + step && at * this.scale - left < this.width - KEYS; at += step) {
      const words = step < 1 ? `${at.toFixed(2).replace(/0$/, "")} s` : `${Math.floor(at / 60)}:${String(Math.round(at % 60)).padStart(2, "0")}`;
      if (x(at * 1000) > KEYS + 12) pen.fillText(words, x(at * 1000), HEIGHT - foot / 2);
    }
  }
}

// Math.min(...values) would overflow the stack on long pieces.
function bounds(values, choose) { return values.length ? [values.reduce((a, b) => choose(a, b))] : []; }

export const pitchName = (pitch) => `${NAMES[pitch % 12]}${Math.floor(pitch / 12) - 1}`;

const attached = new WeakSet();

function attach(root) {
  for (const box of root.querySelectorAll("[data-roll]")) {
    if (attached.has(box)) continue;
    attached.add(box);
    loadNotes(box.dataset.roll).then((notes) => new Roll(box, notes)).catch((error) => { box.textContent = error.message; });
  }
}

export function start() {
  attach(document);
  // A live region may bring rolls of its own, such as those of a passage that was just found.
  document.addEventListener("cadenza:swapped", (event) => attach(event.target));
}
