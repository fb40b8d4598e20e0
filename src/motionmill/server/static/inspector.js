// What is beside the characters: what is seen of them, the clean-up, their physics numbers, the export.

import { keysOf, rowsOf } from "/static/keys.js";

export const TOGGLES = [["follow", "Follow", "F"], ["grid", "Grid", "G"], ["skeleton", "Skeleton", "S"], ["path", "Path", "P"], ["contacts", "Contacts", "C"], ["ghosts", "Onion skin", "O"]];
const FORMATS = { "3D": [["glb", "GLB, skinned"], ["fbx", "FBX"], ["bvh", "BVH"], ["usd", "USD"], ["usdz", "USDZ"]], Data: [["npz", "NPZ, AMASS"], ["npy", "NPY, 272 features"]], Pictures: [["mp4", "MP4 film"], ["gif", "GIF"], ["png", "Contact sheet"]] };
const NUMBERS = { foot_slide_mm_per_frame: ["Foot slide", "mm a frame, while the foot is on the floor", 2], floating_percent: ["Floating", "% of the frames in which no foot is near the floor", 1], penetration_mm: ["Penetration", "mm below the floor", 1], jitter_100_m_per_s3: ["Jitter", "100 m/s³, change of acceleration", 2] };
const UNITS = { foot_slide_mm_per_frame: "mm/fr", floating_percent: "%", penetration_mm: "mm", jitter_100_m_per_s3: "10² m/s³" };

const at = (id) => document.getElementById(id);

export class Inspector {
  /** `attempt` runs something and says what went wrong; `status` says a text; `link` is the address of what is shown. */
  constructor(stage, show, { attempt, status, link }) {
    Object.assign(this, { stage, show, attempt, status, link });
    at("toggles").append(...TOGGLES.map((toggle) => this.#choice(toggle)));
    at("format").append(...Object.entries(FORMATS).map(([label, formats]) => {
      const group = Object.assign(document.createElement("optgroup"), { label });
      group.append(...formats.map(([value, text]) => Object.assign(document.createElement("option"), { value, textContent: text })));
      return group;
    }));
    at("keys").append(...rowsOf(keysOf(TOGGLES)));
    at("reset").addEventListener("click", () => stage.reset());
    at("cleanup").addEventListener("input", () => { at("strength").value = at("cleanup").value; });
    at("cleanup").addEventListener("change", () => this.#clean(Number(at("cleanup").value), false));
    at("before").addEventListener("click", () => this.before());
    at("take").addEventListener("click", () => this.#take());
    at("share").addEventListener("click", () => this.#share());
    this.refresh();
  }

  async toggle(name, on = !this.stage.shown[name]) {
    at(`show-${name}`).checked = on;
    await this.attempt(() => this.stage.show({ [name]: on }));
  }

  /** Before the clean-up, or after it. */
  before() {
    return this.#clean(null, !this.show.raw);
  }

  /** Numbers and names of the chosen character. */
  refresh() {
    const { stage, show } = this, take = show.takes[stage.chosen], clip = stage.actors[stage.chosen]?.clip;
    at("whose").textContent = show.takes.length > 1 ? `Physics of ${stage.chosen + 1}` : "Physics";
    at("before").setAttribute("aria-pressed", String(show.raw));
    at("before").firstChild.textContent = show.raw ? "Show after " : "Show before ";
    if (take) at("cleanup").value = at("strength").value = take.strength;
    const isRaw = clip?.physics === take?.raw;
    at("physics").replaceChildren(...Object.entries(NUMBERS).map(([name, [words, meaning, digits]]) => {
      const row = document.createElement("tr"), head = document.createElement("th");
      head.scope = "row";
      head.title = meaning;
      head.textContent = `${words}, ${UNITS[name]}`;
      const cells = [[take?.raw, isRaw], [take?.strength ? take.cleaned : undefined, !isRaw]].map(([physics, isShown]) => {
        const value = document.createElement("td");
        value.textContent = physics && name in physics ? physics[name].toFixed(digits) : "–";
        value.classList.toggle("shown", Boolean(take) && isShown);
        return value;
      });
      row.append(head, ...cells);
      return row;
    }));
  }

  #clean(strength, raw) {
    return this.show.following || !this.show.takes.length ? undefined : this.attempt(() => this.show.clean(strength, raw));
  }

  #choice([name, text, key]) {
    const label = document.createElement("label"), input = document.createElement("input"), words = document.createElement("span");
    Object.assign(input, { type: "checkbox", id: `show-${name}`, checked: this.stage.shown[name] });
    input.addEventListener("change", () => this.toggle(name, input.checked));
    words.textContent = text;
    label.title = `key ${key}`;
    label.append(input, words);
    return label;
  }

  async #take() {
    const format = at("format").value;
    await this.attempt(async () => {
      if (this.show.following || !this.show.takes[this.stage.chosen]) throw new Error("There is no finished motion to take yet.");
      this.status(`Writing ${format.toUpperCase()} …`);
      const { bytes, name } = await this.show.file(this.stage.chosen, format, at("names").value);
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([bytes]));
      link.download = name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
      this.status(`${name}: ${(bytes.byteLength / 1024).toFixed(0)} kB`);
    });
  }

  async #share() {
    const link = this.link();
    if (!link) { this.status("There is nothing to link to yet."); return; }
    try { await navigator.clipboard.writeText(link); this.status("The link is copied."); } catch { this.status(link); } // pages without TLS have no clipboard
  }
}
