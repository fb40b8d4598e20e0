// Time: play, pause, scrub, step; the bar with its seconds, the parts of a timeline and when the feet rest.

import { COLOURS } from "/static/parts.js";

const EDGE = 5; // pixels: half the width of the bar's handle
const SLOW = 45, COARSEST = 0.5; // milliseconds a frame, part of the pixels

export class Player {
  constructor(stage, { play, bar, clock, seconds, blocks, ruler, speed }) {
    Object.assign(this, { stage, button: play, bar, clock, seconds, blocks, ruler, speed });
    this.frame = 0;
    this.playing = false;
    play.addEventListener("click", () => this.toggle());
    bar.addEventListener("input", () => this.seek(Number(bar.value)));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#rule());
    new ResizeObserver(() => this.#rule()).observe(ruler);
  }

  toggle(on = !this.playing) {
    if (on && !this.playing && this.stage.length > 1) {
      if (this.frame >= this.stage.length - 1) this.frame = 0;
      this.last = performance.now();
      cancelAnimationFrame(this.next);
      this.next = requestAnimationFrame((now) => this.#step(now));
    }
    this.playing = on && this.stage.length > 1;
    this.button.setAttribute("aria-label", this.playing ? "Pause" : "Play");
    document.body.dataset.playing = this.playing;
    if (!this.playing) this.sharpen();
    if (!this.playing) this.bar.setAttribute("aria-valuetext", this.#words());
  }

  /** Stop at a frame. */
  seek(frame) {
    this.toggle(false);
    this.#show(Math.max(0, Math.min(this.stage.length - 1, Math.round(frame))));
    this.bar.setAttribute("aria-valuetext", this.#words());
  }

  by(frames) {
    this.seek(Math.round(this.frame) + frames);
  }

  rewind() {
    this.frame = 0;
    this.changed();
  }

  /** There are more frames, or other ones, or another character is chosen. */
  changed() {
    const last = Math.max(0, this.stage.length - 1);
    this.bar.max = last;
    this.#show(Math.min(this.frame, last));
    this.#rule();
  }

  /** All pixels again: nothing moves, or what made it slow has ended. */
  sharpen() {
    this.pace = 0;
    if (this.stage.finesse === 1) return;
    this.stage.finesse = 1;
    this.stage.later();
  }

  /** The parts of a timeline in the bar; those without seconds share what is left. */
  parts(values, seconds) {
    const known = values.reduce((sum, part) => sum + (part.seconds ?? 0), 0), open = values.filter((part) => !part.seconds).length;
    this.blocks.replaceChildren(...(values.length < 2 ? [] : values).map((part, number) => {
      const block = document.createElement("span");
      block.textContent = part.prompt;
      block.style.flexGrow = part.seconds ?? Math.max(0.5, ((seconds ?? known) - known) / open || 1);
      block.style.flexBasis = 0;
      block.style.boxShadow = `inset 3px 0 ${COLOURS[number % COLOURS.length]}`;
      return block;
    }));
  }

  #words() {
    return `frame ${Math.round(this.frame)} of ${Math.max(0, this.stage.length - 1)}, ${(this.frame / this.stage.fps).toFixed(2)} seconds`;
  }

  #show(frame, now = false) {
    this.frame = frame;
    this.bar.value = Math.round(frame);
    this.clock.textContent = `${Math.round(frame)} / ${Math.max(0, this.stage.length - 1)}`;
    this.seconds.textContent = `${(frame / this.stage.fps).toFixed(2)} s`;
    this.stage.seek(frame, now);
  }

  #step(now) {
    if (!this.playing) return;
    this.#adapt(now - this.last);
    const next = this.frame + (Math.min(250, now - this.last) / 1000) * this.stage.fps * Number(this.speed.value);
    this.last = now;
    const { length, growing } = this.stage;
    this.#show(next > length - 1 ? (growing ? length - 1 : 0) : next, true);
    this.next = requestAnimationFrame((later) => this.#step(later));
  }

  /** Fewer pixels where frames take long on average: smooth is worth more than sharp while it moves. */
  #adapt(milliseconds) {
    this.pace = this.pace ? 0.9 * this.pace + 0.1 * Math.min(milliseconds, 250) : Math.min(milliseconds, 40);
    if (this.pace < SLOW || this.stage.finesse <= COARSEST) return;
    this.stage.finesse *= 0.75;
    this.pace = 0;
  }

  /** Seconds above, below them a row for each foot with bars where it rests. */
  #rule() {
    const { ruler, stage } = this, ratio = devicePixelRatio || 1, width = ruler.clientWidth, height = ruler.clientHeight, last = stage.length - 1;
    ruler.width = width * ratio;
    ruler.height = height * ratio;
    if (last < 1) return;
    const pen = ruler.getContext("2d"), style = getComputedStyle(ruler), colour = (name) => style.getPropertyValue(name).trim();
    const at = (frame) => EDGE + (frame / last) * (width - 2 * EDGE);
    pen.scale(ratio, ratio);
    pen.font = `10px ${style.fontFamily}`;
    pen.fillStyle = colour("--soft");
    const whole = last / stage.fps, step = [0.1, 0.5, 1, 2, 5, 10, 30].find((each) => (each / whole) * width > 46) ?? 60;
    for (let k = 0; k * step <= whole + 1e-6; k++) {
      const x = at(k * step * stage.fps);
      pen.fillRect(x, 10, 1, 6);
      if (x < width - 22) pen.fillText(`${+(k * step).toFixed(1)} s`, x + 4, 11);
      for (let part = 1; part < 5; part++) if ((k + part / 5) * step <= whole) pen.fillRect(at((k + part / 5) * step * stage.fps), 13, 1, 3);
    }
    const contacts = stage.actors[stage.chosen]?.clip?.contacts ?? [];
    for (const foot of [0, 1]) {
      const y = height - 15 + 8 * foot;
      pen.fillStyle = colour("--line");
      pen.fillRect(EDGE, y + 2.5, width - 2 * EDGE, 1);
      pen.fillStyle = colour(foot ? "--right" : "--left");
      for (const [joint, start, end] of contacts) if (joint % 2 === foot) pen.fillRect(at(start), y, Math.max(1.5, at(Math.min(end, last)) - at(start)), 6);
    }
  }
}
