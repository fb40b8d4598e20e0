// What was made: the server's jobs and those that this browser remembers, with small pictures that are kept here.

import { getJson } from "/static/api.js";

const KEY = "motionmill-history";
const MOST = 40;

export class History {
  /** `open(id, request)` shows an entry; `draw(id)` gives the picture of a finished job as a data URL, or null. */
  constructor(list, nothing, { open, draw }) {
    Object.assign(this, { list, nothing, open, draw });
    this.current = "";
    this.asked = this.shown = 0; // the server's lists by number: a slow one must not replace a newer one
    this.wanted = [];
    this.seen = new IntersectionObserver((entries) => {
      for (const entry of entries) if (entry.isIntersecting) { this.seen.unobserve(entry.target); this.wanted.push(entry.target.dataset.id); }
      this.#drawNext();
    });
  }

  /** Ask the server again and show. */
  async refresh() {
    const number = ++this.asked;
    let jobs;
    try { jobs = (await getJson(`/v1/jobs?limit=${MOST}`)).jobs; } catch { return; }
    if (number < this.shown) return;
    this.shown = number;
    const mine = kept(), here = new Set(jobs.map((job) => job.id)), whole = jobs.length < MOST;
    const oldest = jobs.length ? jobs[jobs.length - 1].created : 0;
    const others = Object.entries(mine).filter(([id, entry]) => !here.has(id) && (whole || entry.created > oldest))
      .map(([id, entry]) => ({ id, request: entry.request, created: entry.created, state: "gone" }));
    const all = [...jobs.filter((job) => job.state !== "cancelled"), ...others].sort((a, b) => b.created - a.created);
    const held = this.list.contains(document.activeElement) ? document.activeElement.dataset.id : "";
    this.seen.disconnect();
    this.list.replaceChildren(...all.map((job) => this.#entry(job, mine[job.id]?.picture)));
    if (held) this.list.querySelector(`[data-id="${held}"]`)?.focus({ preventScroll: true }); // whoever is in the list stays there
    this.nothing.hidden = all.length > 0;
  }

  /** Keep a job and its picture in this browser; the oldest go. */
  keep(job, picture) {
    const entries = [...Object.entries(kept()).filter(([name]) => name !== job.id), [job.id, { request: job.request, created: job.created, picture }]].slice(-MOST);
    try { localStorage.setItem(KEY, JSON.stringify(Object.fromEntries(entries))); } catch { /* a full or forbidden storage costs only pictures */ }
    this.list.querySelector(`[data-id="${job.id}"] .picture`)?.replaceWith(pictureOf(picture));
  }

  mark(id) {
    this.current = id;
    for (const button of this.list.querySelectorAll(".entry")) button.setAttribute("aria-current", String(button.dataset.id === id));
  }

  /** Pictures of what other browsers have made, one after the other, when there is nothing else to do. */
  async #drawNext() {
    if (this.drawing) return;
    this.drawing = true;
    while (this.wanted.length) {
      const id = this.wanted.shift(), picture = await this.draw(id);
      if (picture) this.list.querySelector(`[data-id="${id}"] .picture`)?.replaceWith(pictureOf(picture));
    }
    this.drawing = false;
  }

  #entry(job, picture) {
    const item = document.createElement("li"), button = document.createElement("button"), words = document.createElement("span");
    const { samples = 1, timeline } = job.request, notes = [samples > 1 ? `× ${samples}` : "", timeline?.length > 1 ? `${timeline.length} parts` : "", { done: "", gone: "forgotten" }[job.state] ?? job.state].filter(Boolean);
    words.className = "caption";
    words.textContent = promptOf(job.request);
    button.type = "button";
    button.className = job.state === "gone" ? "entry gone" : "entry";
    button.dataset.id = job.id;
    button.title = promptOf(job.request);
    button.setAttribute("aria-current", String(job.id === this.current));
    button.append(pictureOf(picture), words);
    button.addEventListener("click", () => this.open(job.id, job.request));
    item.append(button);
    if (notes.length) {
      const badge = document.createElement("span");
      badge.className = "badge";
      badge.textContent = notes.join(", ");
      item.append(badge);
    }
    if (!picture && job.state === "done") this.seen.observe(button);
    return item;
  }
}

/** The words of a request, parts in a row. */
export function promptOf(request) {
  return request.prompt ?? request.timeline.map((part) => part.prompt).join(" → ");
}

function pictureOf(source) {
  const picture = document.createElement(source ? "img" : "span");
  if (source) Object.assign(picture, { src: source, alt: "" });
  picture.className = "picture";
  return picture;
}

/** What this browser remembers: id -> {request, created, picture}; what others wrote there is not trusted. */
function kept() {
  try {
    const entries = Object.entries(JSON.parse(localStorage.getItem(KEY) ?? "{}"));
    return Object.fromEntries(entries.filter(([id, entry]) => /^[0-9a-f]{24}$/.test(id) && /^data:image\/jpeg;base64,/.test(entry.picture) && (entry.request.prompt || entry.request.timeline)));
  } catch {
    return {};
  }
}
