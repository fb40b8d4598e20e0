// A job or opened files -> characters on the stage: raw frames while they come, then the cleaned files.

import { Refused, ask, events, getBytes, getJson } from "/static/api.js";
import { Clip, clipOf, standing } from "/static/clip.js";
import { parseGlb } from "/static/stage.js";

const MOST = 4; // places that opened files may fill
const MOTIONS = ["bvh", "glb", "npz", "npy"], VIDEOS = ["mp4", "mov", "webm", "mkv", "avi", "gif"];

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const sent = (what, data, options) => ask(`/v1/motions/${what}?${new URLSearchParams(options)}`, { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: data });

/** What is in one place, with the clips of the strengths of the clean-up that were looked at. */
class Take {
  constructor(name, strength, fetchFile) {
    Object.assign(this, { name, strength, fetchFile, clips: new Map(), physics: new Map() });
  }

  /** The numbers before the clean-up, and those after it with the strength that is chosen; undefined until they are there. */
  get raw() { return this.physics.get(0); }

  get cleaned() { return this.physics.get(this.strength); }

  /** {bytes, clip} of a strength; asked for once. */
  at(strength) {
    if (!this.clips.has(strength)) {
      const made = this.fetchFile("glb", { cleanup: strength }).then(async ({ bytes }) => ({ bytes, clip: clipOf(await parseGlb(bytes)) }));
      this.clips.set(strength, made);
      made.then(({ clip }) => this.physics.set(strength, clip.physics), () => this.clips.delete(strength));
    }
    return this.clips.get(strength);
  }
}

export class Show {
  /** `page` is told: status(text), state(name), progress(part or null), changed(), cells(names), arrived(frames), finished(job). */
  constructor(stage, page) {
    Object.assign(this, { stage, page });
    this.job = null;
    this.takes = [];
    this.raw = false; // whether what is shown is before the clean-up
    this.number = 0; // of what is shown: an older one that still loads must not come in between
  }

  /** The character alone, standing. */
  async idle() {
    const { number } = this, bytes = await this.#character();
    if (number !== this.number || this.takes.length) return;
    this.stage.clear(1);
    this.page.cells([""]);
    await this.stage.play(0, bytes, standing(await parseGlb(bytes)));
  }

  /** Follow a job to its end and show it, over broken connections and restarts of the server. */
  async open(job) {
    const number = ++this.number, { id } = job;
    this.stopReading?.abort();
    this.raw = false;
    this.#begin(job);
    while (number === this.number) {
      if (job.state === "failed") { this.page.state("failed"); throw new Error(`This job failed: ${job.reason}`); }
      if (job.state === "cancelled") { this.page.state("cancelled"); this.page.status("Cancelled."); return; }
      try {
        if (job.state === "done") { await this.#done(job, number); return; }
        await this.#follow(job, number);
        job = await getJson(`/v1/jobs/${id}`);
      } catch (error) {
        if (number !== this.number) return;
        const away = error instanceof TypeError || error.status === 503;
        if (!away && (error instanceof Refused || job.state === "done")) throw error;
        this.page.status("The server does not answer; trying again. Nothing is lost.");
        this.page.state("waiting");
        await pause(500);
        try { job = await getJson(`/v1/jobs/${id}`); } catch (again) { if (again instanceof Refused && again.status === 404) throw again; }
      }
    }
  }

  /** A file of this machine, carried over to our skeleton by the server, beside what is shown. */
  async openFile(file) {
    const suffix = file.name.split(".").pop().toLowerCase(), isVideo = VIDEOS.includes(suffix);
    if (!isVideo && !MOTIONS.includes(suffix)) throw new Error(`Cannot open ${file.name}; expected a motion (${MOTIONS.join(", ")}) or a video (${VIDEOS.join(", ")}).`);
    this.page.status(isVideo ? `Looking for the motion in ${file.name} …` : `Reading ${file.name} …`);
    let data = await file.arrayBuffer(), from = suffix, people = 1;
    if (isVideo) {
      const answer = await sent("extract", data, { to: "npz" });
      people = Number(answer.headers.get("Motion-People"));
      data = await answer.arrayBuffer();
      from = "npz";
    }
    const stem = file.name.replace(/\.[^.]*$/, "");
    const take = new Take(file.name, 0, async (to, options) => ({ bytes: await (await sent("convert", data, { from, to, ...options })).arrayBuffer(), name: `${stem}-motionmill.${to}` }));
    const { bytes, clip } = await take.at(0);
    if (!this.takes.length) this.stage.clear(0);
    const place = Math.min(this.takes.length, Math.max(MOST - 1, this.job?.request.samples ?? 0));
    this.takes[place] = take;
    this.stage.actors[place] ??= null;
    this.page.cells(this.takes.map(({ name }) => name), place);
    await this.stage.play(place, bytes, clip, true);
    if (!this.following) this.page.state("done");
    this.page.status(`${file.name}: ${clip.frames} frames, ${(clip.frames / clip.fps).toFixed(1)} s${people > 1 ? `; of ${people} people the one longest in sight` : ""}`);
    this.page.changed();
  }

  /** The same with another strength of the clean-up, or as it was before it. */
  async clean(strength, raw = false) {
    const { number } = this;
    this.raw = raw;
    await Promise.all(this.takes.map(async (take, place) => {
      if (strength !== null) take.strength = strength;
      const wanted = raw ? 0 : take.strength, { bytes, clip } = await take.at(wanted);
      if (number === this.number && this.takes[place] === take && wanted === (this.raw ? 0 : take.strength)) await this.stage.play(place, bytes, clip);
    }));
    this.page.changed();
  }

  /** {bytes, name} of what is in a place, in a format. */
  file(place, format, names) {
    const take = this.takes[place];
    return take.fetchFile(format, { names, cleanup: this.raw ? 0 : take.strength });
  }

  #character() {
    this.character ??= getBytes("/character.glb").catch((error) => { this.character = null; throw error; });
    return this.character;
  }

  #begin(job) {
    this.job = job;
    const count = job.request.samples ?? 1, strength = job.request.cleanup ?? 1;
    this.takes = [...Array(count).keys()].map((place) => new Take(`seed ${job.request.seed + place}`, strength, async (format, options) => {
      const answer = await ask(`/v1/motions/${job.id}-${place}.${format}?${new URLSearchParams(options)}`);
      return { bytes: await answer.arrayBuffer(), name: /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition"))?.[1] ?? `motion.${format}` };
    }));
    this.stage.clear(count);
    this.page.cells(this.takes.map(({ name }) => name));
    this.page.state(job.state === "done" ? "loading" : job.state);
    this.page.changed();
  }

  async #follow(job, number) {
    this.stopReading = new AbortController();
    this.following = true;
    this.stage.growing = true;
    const seconds = (job.request.timeline ?? [job.request]).map((part) => part.seconds ?? NaN).reduce((sum, each) => sum + each, 0);
    const clips = this.takes.map(() => new Clip());
    let rest = Promise.resolve();
    try {
      for await (const [kind, facts] of events(job.id, this.stopReading.signal)) {
        if (number !== this.number) return;
        if (kind === "queued") { this.page.state("queued"); this.page.status(facts.position > 1 ? `Waiting, number ${facts.position} in the queue` : "Waiting, next in the queue"); }
        if (kind === "encoding") { this.page.state("running"); this.page.status("Making the motion …"); this.page.progress(NaN); }
        if (kind === "frames") rest = rest.then(() => this.#arrived(clips, facts, number, seconds));
      }
      await rest;
    } finally {
      rest.catch(() => {}); // when the events break off, that is what is told
      if (number === this.number) this.following = this.stage.growing = false;
    }
  }

  async #arrived(clips, facts, number, seconds) {
    if (number !== this.number) return;
    const clip = clips[facts.sample], { actors } = this.stage;
    clip.take(facts);
    if (actors[facts.sample]?.clip === clip) actors[facts.sample].redraw();
    else await this.stage.play(facts.sample, await this.#character(), clip);
    if (number !== this.number) return;
    const all = clips.reduce((sum, each) => sum + each.frames, 0);
    this.page.progress(all / (seconds * clip.fps * clips.length));
    this.page.arrived(clip.frames);
  }

  async #done(job, number) {
    this.job = job;
    this.page.progress(null);
    await Promise.all(job.motions.map(async (motion, place) => {
      const take = this.takes[place], { clip } = await take.at(take.strength), character = await this.#character();
      if (number === this.number && this.takes[place] === take) await this.stage.play(place, character, clip);
    }));
    if (number !== this.number) return;
    this.page.status(`${job.motions[0].seconds.toFixed(1)} s, made in ${(job.finished - job.created).toFixed(1)} s`);
    this.page.changed();
    this.page.finished(job);
    this.page.state("done");
  }
}
