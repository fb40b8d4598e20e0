// What was made: the server's jobs, with the small pictures that this browser keeps.

import { getJson } from "/static/api.js";

const KEY = "motionmill-pictures";
const MOST = 40;

export class History {
  constructor(list, open) {
    this.list = list;
    this.open = open;
    this.current = "";
  }

  /** Ask the server again and show. */
  async refresh() {
    let jobs;
    try { jobs = (await getJson(`/v1/jobs?limit=${MOST}`)).jobs; } catch { return; }
    const pictures = kept();
    this.list.replaceChildren(...jobs.filter((job) => job.state !== "cancelled").map((job) => this.#entry(job, pictures[job.id])));
  }

  /** Keep a picture of a job; the oldest go. */
  keep(id, picture) {
    const entries = [...Object.entries(kept()).filter(([name]) => name !== id), [id, picture]].slice(-MOST);
    try { localStorage.setItem(KEY, JSON.stringify(Object.fromEntries(entries))); } catch { /* a full or forbidden storage costs only pictures */ }
  }

  mark(id) {
    this.current = id;
    for (const button of this.list.querySelectorAll("button")) button.setAttribute("aria-current", String(button.dataset.id === id));
  }

  #entry(job, picture) {
    const item = document.createElement("li"), button = document.createElement("button"), words = document.createElement("span");
    const image = document.createElement(picture ? "img" : "span");
    if (picture) Object.assign(image, { src: picture, alt: "" });
    image.className = "picture";
    words.className = "caption";
    words.textContent = promptOf(job.request) + (job.state === "done" ? "" : ` (${job.state})`);
    button.type = "button";
    button.dataset.id = job.id;
    button.title = promptOf(job.request);
    button.setAttribute("aria-current", String(job.id === this.current));
    button.append(image, words);
    button.addEventListener("click", () => this.open(job.id));
    item.append(button);
    return item;
  }
}

/** The words of a request, parts in a row. */
export function promptOf(request) {
  return request.prompt ?? request.timeline.map((part) => part.prompt).join(" → ");
}

function kept() {
  try { return JSON.parse(localStorage.getItem(KEY) ?? "{}"); } catch { return {}; }
}
