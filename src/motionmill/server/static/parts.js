// The prompt box: one prompt, or several in a row that become one motion.

export const COLOURS = ["var(--mark)", "var(--right)", "var(--body)"];
const MOST = 16;

export class Parts {
  constructor(box, add, submit) {
    this.box = box;
    this.add = add;
    this.submit = submit;
    add.addEventListener("click", () => { this.#append("", ""); this.box.lastElementChild.querySelector("textarea").focus(); });
    this.set([{ prompt: "", seconds: 4 }]);
  }

  /** What is written, as the server takes it. */
  get values() {
    return [...this.box.children].map((part) => {
      const seconds = part.querySelector("input").value;
      return { prompt: part.querySelector("textarea").value.trim(), ...(seconds ? { seconds: Number(seconds) } : {}) };
    });
  }

  set(values) {
    this.box.replaceChildren();
    for (const { prompt, seconds } of values) this.#append(prompt, seconds ?? "");
  }

  /** Put an example into the part that was written in last. */
  fill(text) {
    const all = [...this.box.querySelectorAll("textarea")];
    const area = all.find((each) => !each.value.trim()) ?? all[all.length - 1];
    area.value = text;
    area.focus();
  }

  focus() {
    this.box.querySelector("textarea").focus();
  }

  #append(prompt, seconds) {
    const part = document.createElement("div"), area = document.createElement("textarea");
    const label = document.createElement("label"), length = document.createElement("input"), remove = document.createElement("button");
    part.className = "part";
    area.value = prompt;
    area.maxLength = 2000;
    area.rows = 2;
    area.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); this.submit(); }
    });
    Object.assign(length, { type: "number", min: 0.2, max: 60, step: 0.1, value: seconds, placeholder: "auto", inputMode: "decimal" });
    label.append("Seconds ", length);
    Object.assign(remove, { type: "button", className: "quiet", textContent: "remove" });
    remove.addEventListener("click", () => { part.remove(); this.#number(); });
    part.append(area, label, remove);
    this.box.append(part);
    this.#number();
  }

  #number() {
    const all = [...this.box.children];
    all.forEach((part, number) => {
      part.style.borderLeftColor = COLOURS[number % COLOURS.length];
      part.querySelector("textarea").setAttribute("aria-label", all.length > 1 ? `Prompt ${number + 1} of ${all.length}` : "Prompt");
      part.querySelector("textarea").placeholder = number ? "and then …" : "a person walks forward and waves";
      part.querySelector("button").hidden = all.length === 1;
      part.querySelector("button").setAttribute("aria-label", `Remove prompt ${number + 1}`);
    });
    this.add.hidden = all.length >= MOST;
  }
}
