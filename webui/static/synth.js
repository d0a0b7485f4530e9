// Plays notes with WebAudio: recorded samples of one instrument, resampled to each pitch, scheduled a little ahead.

const FIRST_PITCH = 21, PITCH_STEP = 5, SAMPLE_COUNT = 18, SLOT_SECONDS = 2.5, SLOT_USED = 2.44;
const TICK = 60, AHEAD = 0.35, AHEAD_HIDDEN = 1.6, MOST_VOICES = 80;
const buffers = new Map();

/** Fetch and decode an instrument's samples once; null when they cannot be had. */
export function loadSamples(program) {
  if (!buffers.has(program)) {
    const loading = (async () => {
      const answer = await fetch(`/instruments/${program}/samples.wav`);
      if (!answer.ok) throw new Error(`samples: ${answer.status}`);
      const decoded = await new OfflineAudioContext(1, 1, 24000).decodeAudioData(await answer.arrayBuffer());
      buffers.set(program, decoded);
      return decoded;
    })();
    loading.catch(() => buffers.delete(program));
    buffers.set(program, loading);
  }
  return buffers.get(program);
}

export class Synth {
  #context = null;
  #out = null;
  #volume = null;
  #voices = new Set();
  #timer = 0;
  #notes = null;
  #next = 0;
  #startedAt = 0;
  #program = 0;
  #gain = 0.8;

  get running() { return this.#timer !== 0; }

  /** Must first be called from a click or key: browsers keep sound off until then. */
  wake() {
    if (!this.#context) {
      this.#context = new AudioContext({ latencyHint: "interactive" });
      const limiter = new DynamicsCompressorNode(this.#context, { threshold: -9, knee: 6, ratio: 12, attack: 0.002, release: 0.2 });
      this.#volume = new GainNode(this.#context, { gain: this.#gain });
      this.#out = new GainNode(this.#context, { gain: 0.6 });
      this.#out.connect(limiter).connect(this.#volume).connect(this.#context.destination);
    }
    if (this.#context.state === "suspended") this.#context.resume();
  }

  set volume(value) {
    this.#gain = value;
    if (this.#volume) this.#volume.gain.setTargetAtTime(value, this.#context.currentTime, 0.02);
  }

  /** Seconds into the piece that is heard now. */
  get position() { return this.#context ? this.#context.currentTime - this.#startedAt : 0; }

  start(notes, program, from) {
    this.stop();
    this.wake();
    this.#notes = notes;
    this.#program = program;
    loadSamples(program);
    this.#startedAt = this.#context.currentTime + 0.06 - from;
    this.#next = firstAtOrAfter(notes.start_ms, from * 1000 - 1);
    this.#timer = setInterval(() => this.#schedule(), TICK);
    this.#schedule();
  }

  stop() {
    clearInterval(this.#timer);
    this.#timer = 0;
    for (const voice of this.#voices) voice.end(this.#context.currentTime + 0.04);
    this.#voices.clear();
  }

  #schedule() {
    const until = (this.position + (document.hidden ? AHEAD_HIDDEN : AHEAD)) * 1000;
    const { start_ms, duration_ms, pitch, velocity } = this.#notes;
    while (this.#next < start_ms.length && start_ms[this.#next] <= until) {
      const row = this.#next++;
      this.#play(this.#startedAt + start_ms[row] / 1000, duration_ms[row] / 1000, pitch[row], velocity[row]);
    }
  }

  #play(at, seconds, pitch, velocity) {
    const context = this.#context;
    if (this.#voices.size >= MOST_VOICES) {
      const [oldest] = this.#voices;
      oldest.end(context.currentTime + 0.03);
      this.#voices.delete(oldest);
    }
    const when = Math.max(at, context.currentTime);
    const samples = buffers.get(this.#program);
    const level = 0.08 + 0.92 * (velocity / 127) ** 1.7;
    const envelope = new GainNode(context, { gain: 0 });
    envelope.connect(this.#out);
    let source;
    let length = seconds;
    if (samples instanceof AudioBuffer) {
      const slot = Math.min(SAMPLE_COUNT - 1, Math.max(0, Math.round((pitch - FIRST_PITCH) / PITCH_STEP)));
      const rate = 2 ** ((pitch - FIRST_PITCH - slot * PITCH_STEP) / 12);
      source = new AudioBufferSourceNode(context, { buffer: samples, playbackRate: rate });
      length = Math.min(seconds, SLOT_USED / rate - 0.15);
      source.start(when, slot * SLOT_SECONDS, SLOT_USED);
      envelope.gain.setValueAtTime(level, when);
    } else {
      // The samples are still on their way: a plain tone, so that the music starts at once.
      source = new OscillatorNode(context, { type: "triangle", frequency: 440 * 2 ** ((pitch - 69) / 12) });
      source.start(when);
      envelope.gain.setValueAtTime(0, when);
      envelope.gain.linearRampToValueAtTime(level * 0.5, when + 0.008);
      envelope.gain.setTargetAtTime(level * 0.12, when + 0.02, 0.35);
    }
    source.connect(envelope);
    const release = 0.14;
    envelope.gain.setTargetAtTime(0, when + length, release / 3);
    source.stop(when + length + release * 2);
    const voice = {
      end(time) {
        envelope.gain.cancelScheduledValues(time - 0.04);
        envelope.gain.setTargetAtTime(0, time - 0.04, 0.015);
        try { source.stop(time + 0.1); } catch { /* Ended already. */ }
      },
    };
    this.#voices.add(voice);
    source.onended = () => { this.#voices.delete(voice); envelope.disconnect(); };
  }
}

/** The first index whose value is at least `value`, in an ascending list. */
export function firstAtOrAfter(values, value) {
  let low = 0, high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < value) low = middle + 1; else high = middle;
  }
  return low;
}
