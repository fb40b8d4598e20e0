// Keys: what each does, as a table for people and as a listener.

const WRITING = /^(TEXTAREA|SELECT)$/;

/** What each key is for: [keys, words]. */
export const keysOf = (toggles) => [["Space", "play, pause"], ["← →", "one frame"], ["Shift ← →", "ten frames"], ["Home End", "first, last frame"], ["1 – 4", "one variation alone; again: all"],
  ...toggles.map(([, name, key]) => [key, name.toLowerCase()]), ["B", "before and after the clean-up"], ["R", "camera as at first"], ["Q E", "turn the camera"], ["PgUp PgDn", "camera up, down"], ["+ −", "nearer, farther"],
  ["Enter", "in the prompt: generate"], ["?", "these keys"]];

/** Rows of a table from `keysOf`. */
export const rowsOf = (keys) => keys.map(([names, words]) => {
  const row = document.createElement("tr"), first = document.createElement("td"), second = document.createElement("td");
  first.append(...names.split(" ").map((name) => Object.assign(document.createElement(/^[–]$/.test(name) ? "span" : "kbd"), { textContent: name })).flatMap((each) => [each, " "]));
  second.textContent = words;
  row.append(first, second);
  return row;
});

/** Call what a key is for; keys that belong to a field stay with it. */
export function listen({ player, stage, toggles, toggle, choose, before, help }) {
  const moves = { ArrowLeft: (step) => player.by(-step), ArrowRight: (step) => player.by(step), Home: () => player.seek(0), End: () => player.seek(stage.length - 1) };
  const camera = { Q: [-1, 0], E: [1, 0], PAGEUP: [0, 1], PAGEDOWN: [0, -1], "+": [0, 0, 1.12], "=": [0, 0, 1.12], "-": [0, 0, 1 / 1.12] };
  window.addEventListener("keydown", (event) => {
    const { key, target } = event, letter = key.toUpperCase(), toggled = toggles.find(([, , each]) => each === letter);
    if (event.ctrlKey || event.metaKey || event.altKey || WRITING.test(target.tagName) || ["number", "password"].includes(target.type) || document.querySelector("dialog[open]")) return;
    const own = ["range", "radio"].includes(target.type) && target.id !== "time";
    if (key === " " && !/^(BUTTON|A)$/.test(target.tagName) && !["checkbox", "radio", "file"].includes(target.type)) player.toggle();
    else if (key in moves && !own) moves[key](event.shiftKey ? 10 : 1);
    else if (/^[1-4]$/.test(key)) choose(Number(key) - 1);
    else if (letter === "R") stage.reset();
    else if (letter === "B") before();
    else if (letter in camera && !own) stage.turn(...camera[letter]);
    else if (toggled) toggle(toggled[0]);
    else if (key === "?") help();
    else return;
    event.preventDefault();
  });
}
