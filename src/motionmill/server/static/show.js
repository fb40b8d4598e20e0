// A job or an opened file -> characters on the stage: raw frames while they come, then the cleaned files.

import { Refused, ask, events, getBytes, getJson } from "/static/api.js";
import { Clip, clipOf } from "/static/clip.js";
import { parseGlb } from "/static/stage.js";

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export class Show {
  /** `page` is told: status(text), state(name), changed(), cells(count). */
  constructor(stage, page) {
    Object.assign(this, { stage, page });
    this.job = null;
    this.file = null;
    this.number = 0; // of what is shown: an older one that still loads must not come in between
  }

  /** Follow a job to its end and show it, over broken connections and restarts of the server. */
  async open(id) {
    const number = ++this.number;
    this.file = null;
    this.stopReading?.abort();
    let job = await getJson(`/v1/jobs/${id}`);
    this.#begin(job);
    while (number === this.number) {
      if (job.state === "done") return this.#done(job, number);
      if (job.state === "failed") { this.page.state("failed"); throw new Error(`This job failed: ${job.reason}`); }
      if (job.state === "cancelled") { this.page.state("cancelled"); this.page.status("Cancelled."); return undefined; }
      try {
        await this.#follow(id, number);
        job = await getJson(`/v1/jobs/${id}`);
      } catch (error) {
        if (number !== this.number) return undefined;
        if (error instanceof Refused && error.status !== 503) throw error;
        this.page.status("The server does not answer; trying again. Nothing is lost.");
        this.page.state("waiting");
        await pause(1000);
        try { job = await getJson(`/v1/jobs/${id}`); } catch (again) { if (again instanceof Refused && again.status === 404) throw again; }
      }
    }
    return undefined;
  }

  /** A file of this machine, carried over to our skeleton by the server, beside what is shown. */
  async openFile(file) {
    const kind = file.name.split(".").pop().toLowerCase();
    if (/^(mp4|mov|webm|avi|mkv)$/.test(kind)) throw new Error("Motion from video is not part of this server; extract it on the command line and open the file.");
    if (!["bvh", "glb", "npz", "npy"].includes(kind)) throw new Error(`Cannot open .${kind}; BVH, GLB, NPZ and NPY can be opened.`);
    this.file = { data: await file.arrayBuffer(), kind, name: file.name };
    const bytes = await this.#converted(0, "glb"), clip = clipOf(await parseGlb(bytes));
    const place = this.stage.actors.filter(Boolean).length && this.stage.actors.length < 4 ? this.stage.actors.length : 0;
    if (place) this.stage.actors.push(null);
    else { this.number++; this.job = null; this.stage.clear(1); }
    this.file.place = place;
    this.page.cells([...this.stage.actors.keys()].map((each) => (each === place ? file.name : this.job.motions[each] ? `seed ${this.job.motions[each].seed}` : `${each + 1}`)));
    await this.stage.play(place, bytes, clip, true);
    this.page.state("done");
    this.page.changed();
  }

  /** The same with another strength of the clean-up. */
  async clean(strength) {
    const { number } = this;
    const of = async (place) => {
      const bytes = this.#isFile(place) ? await this.#converted(strength, "glb") : await getBytes(`/v1/motions/${this.job.motions[place].id}.glb?cleanup=${strength}`);
      if (number === this.number) await this.stage.play(place, bytes, clipOf(await parseGlb(bytes)));
    };
    await Promise.all([...this.stage.actors.keys()].map(of));
    this.page.changed();
  }

  /** The bytes of what is chosen in a format, and a name for it. */
  async take(place, format, names, strength) {
    if (this.#isFile(place)) return [await this.#converted(strength, format, names), `${this.file.name.replace(/\.[^.]*$/, "")}-motionmill.${format}`];
    const answer = await ask(`/v1/motions/${this.job.motions[place].id}.${format}?names=${names}&cleanup=${strength}`);
    return [await answer.arrayBuffer(), /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition"))?.[1] ?? `motion.${format}`];
  }

  #isFile(place) {
    return this.file !== null && place === this.file.place;
  }

  async #converted(strength, format, names = "smpl") {
    const { data, kind } = this.file;
    const path = `/v1/motions/convert?from=${kind}&to=${format}&names=${names}&cleanup=${strength}`;
    return (await ask(path, { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: data })).arrayBuffer();
  }

  #begin(job) {
    this.job = job;
    const count = job.request.samples ?? 1;
    this.stage.clear(count);
    this.page.cells([...Array(count).keys()].map((place) => `seed ${job.request.seed + place}`));
    this.page.state(job.state === "done" ? "loading" : job.state);
    this.page.changed();
  }

  async #follow(id, number) {
    this.stopReading = new AbortController();
    const character = getBytes("/character.glb");
    const clips = this.stage.actors.map(() => new Clip()), tokens = {};
    this.stage.growing = true;
    let rest = Promise.resolve();
    for await (const [kind, facts] of events(id, this.stopReading.signal)) {
      if (number !== this.number) return;
      if (kind === "queued") { this.page.state("queued"); this.page.status(facts.position > 1 ? `Waiting, number ${facts.position} in the queue` : "Waiting, next in the queue"); }
      if (kind === "encoding") { this.page.state("running"); this.page.status("Reading the text"); }
      if (kind === "tokens") { tokens[facts.sample] = facts.tokens; this.page.status(`Moving: ${Object.values(tokens).reduce((sum, each) => sum + each, 0)} tokens`); }
      if (kind === "frames") {
        const clip = clips[facts.sample];
        clip.take(facts);
        rest = rest.then(async () => {
          if (number !== this.number) return;
          const actor = this.stage.actors[facts.sample];
          if (actor?.clip === clip) actor.redraw(); else await this.stage.play(facts.sample, await character, clip);
          this.page.arrived(clip.frames);
        });
      }
    }
    await rest;
  }

  async #done(job, number) {
    this.stage.growing = false;
    this.job = job;
    await Promise.all(job.motions.map(async (motion, place) => {
      const bytes = await getBytes(`/v1/motions/${motion.id}.glb`);
      const clip = clipOf(await parseGlb(bytes));
      if (number === this.number) await this.stage.play(place, bytes, clip);
    }));
    if (number !== this.number) return;
    this.page.status(`${job.motions[0].seconds.toFixed(1)} s, made in ${(job.finished - job.created).toFixed(1)} s`);
    this.page.changed();
    this.page.finished(job);
    this.page.state("done");
  }
}
