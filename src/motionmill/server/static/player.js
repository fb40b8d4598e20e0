// Time: play, pause, scrub, step; the bar with its frame numbers and the blocks of a timeline.

import { COLOURS } from "/static/parts.js";

export class Player {
  constructor(stage, { play, bar, clock, blocks }) {
    Object.assign(this, { stage, button: play, bar, clock, blocks });
    this.frame = 0;
    this.playing = false;
    play.addEventListener("click", () => this.toggle());
    bar.addEventListener("input", () => this.seek(Number(bar.value)));
  }

  toggle(on = !this.playing) {
    if (on && !this.playing && this.stage.length > 1) {
      if (this.frame >= this.stage.length - 1) this.frame = 0;
      this.last = performance.now();
      requestAnimationFrame((now) => this.#step(now));
    }
    this.playing = on && this.stage.length > 1;
    this.button.textContent = this.playing ? "❚❚" : "▶";
    document.body.dataset.playing = this.playing;
  }

  /** Stop at a frame. */
  seek(frame) {
    this.toggle(false);
    this.#show(Math.max(0, Math.min(this.stage.length - 1, Math.round(frame))));
  }

  by(frames) {
    this.seek(Math.round(this.frame) + frames);
  }

  rewind() {
    this.frame = 0;
    this.changed();
  }

  /** There are more frames, or other ones. */
  changed() {
    const last = Math.max(0, this.stage.length - 1);
    this.bar.max = last;
    this.#show(Math.min(this.frame, last));
  }

  /** The parts of a timeline under the bar; those without seconds share what is left. */
  parts(values, seconds) {
    const known = values.reduce((sum, part) => sum + (part.seconds ?? 0), 0), open = values.filter((part) => !part.seconds).length;
    this.blocks.replaceChildren(...(values.length < 2 ? [] : values).map((part, number) => {
      const block = document.createElement("span");
      block.textContent = part.prompt;
      block.style.flexGrow = part.seconds ?? Math.max(0.5, ((seconds ?? known) - known) / open || 1);
      block.style.flexBasis = 0;
      block.style.borderBottom = `2px solid ${COLOURS[number % COLOURS.length]}`;
      return block;
    }));
  }

  #show(frame) {
    this.frame = frame;
    this.bar.value = Math.round(frame);
    const last = Math.max(0, this.stage.length - 1);
    this.clock.textContent = `${Math.round(frame)} / ${last} · ${(frame / this.stage.fps).toFixed(2)} s`;
    this.stage.seek(frame);
  }

  #step(now) {
    if (!this.playing) return;
    const next = this.frame + (Math.min(250, now - this.last) / 1000) * this.stage.fps;
    this.last = now;
    const { length, growing } = this.stage;
    this.#show(next > length - 1 ? (growing ? length - 1 : 0) : next);
    requestAnimationFrame((later) => this.#step(later));
  }
}
