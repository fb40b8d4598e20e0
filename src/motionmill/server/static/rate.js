// The rating page: one task after another, by mouse, finger or keys. It never learns which system a motion is of.

import { Camera, Figure, decode } from "/static/figure.js";

const CRITERIA = [
  ["text alignment", "Which does what the text says?", "Does it do what the text says?"],
  ["motion smoothness", "Which moves more smoothly?", "Does it move smoothly?"],
  ["physical plausibility", "Which could a body do? Weight, balance, feet.", "Could a body do this? Weight, balance, feet."],
];
const PAIR = [[-1, "Left"], [0, "Same"], [1, "Right"]];
const SINGLE = [[1, "1 bad"], [2, "2"], [3, "3"], [4, "4 good"]];

const element = (id) => document.getElementById(id);
const base = location.pathname.endsWith("/") ? location.pathname : `${location.pathname}/`;
const camera = new Camera(() => draw());
const still = matchMedia("(prefers-reduced-motion: reduce)");  // motions of such a rater begin when asked to
let task = null, figures = [], length = 0, playing = true, last = 0;

async function ask(path, options) {
  for (let wait = 500; ; wait = Math.min(8000, 2 * wait)) {
    try {
      const answer = await fetch(base + path, options);
      if (answer.ok) return await answer.json();
      if (answer.status < 500) throw new Refused(await words(answer));
    } catch (error) {
      if (error instanceof Refused) throw error;
    }
    say("The server does not answer; trying again. Nothing is lost.");
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

class Refused extends Error {}

/** What the server says is wrong, in its words; the status where it says nothing. */
async function words(answer) {
  try { return (await answer.json()).detail; } catch { return `${answer.status} ${answer.statusText}`; }
}

const say = (text) => { element("problem").textContent = text; };

async function next() {
  const state = await ask("task");
  say("");
  task = state.task;
  element("progress").textContent = `${state.done} rated`;
  if (!task) {
    element("prompt").textContent = "All done. Thank you!";
    for (const id of ["views", "form", "keys"]) element(id).hidden = true;
    document.querySelector(".bar").hidden = true;
    document.body.dataset.state = "done";
    return;
  }
  element("prompt").textContent = task.prompt;
  window.scrollTo(0, 0);
  const motions = await Promise.all([...Array(task.motions).keys()].map((side) => ask(`task/${task.name}/${side}`)));
  show(motions.map(decode));
  questions();
  document.body.dataset.state = "ready";
  document.body.dataset.task = task.name;
}

function show(motions) {
  const views = element("views");
  views.replaceChildren();
  views.classList.toggle("two", motions.length === 2);
  figures = motions.map((motion, side) => {
    const view = document.createElement("div"), canvas = document.createElement("canvas");
    view.className = "view";
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", motions.length === 2 ? ["left motion", "right motion"][side] : "motion");
    view.append(canvas);
    if (motions.length === 2) {
      const name = document.createElement("p");
      name.textContent = ["Left", "Right"][side];
      view.append(name);
    }
    views.append(view);
    const figure = new Figure(canvas, camera);
    figure.motion = motion;
    return figure;
  });
  length = Math.max(...motions.map((motion) => motion.frames / motion.fps));
  element("time").max = length;
  element("time").value = 0;
  play(!still.matches);
}

function questions() {
  const pair = task.motions === 2, choices = pair ? PAIR : SINGLE;
  element("questions").replaceChildren(...CRITERIA.map(([name, ofPair, ofOne], number) => {
    const set = document.createElement("fieldset"), legend = document.createElement("legend"), row = document.createElement("div");
    legend.textContent = pair ? ofPair : ofOne;
    row.className = "choices";
    row.append(...choices.map(([value, text]) => {
      const label = document.createElement("label"), input = document.createElement("input"), words = document.createElement("span");
      input.type = "radio";
      input.name = name;
      input.value = value;
      words.textContent = text;
      label.append(input, words);
      return label;
    }));
    set.append(legend, row);
    set.dataset.number = number;
    return set;
  }));
  element("keys").textContent = pair
    ? "Keys: 1 left, 2 same, 3 right for each question in turn; Backspace takes one back; Enter next; space pause; arrows step; drag turns the view."
    : "Keys: 1 to 4 for each question in turn; Backspace takes one back; Enter next; space pause; arrows step; drag turns the view.";
  changed();
}

function answers() {
  const given = new FormData(element("form"));
  return Object.fromEntries(CRITERIA.filter(([name]) => given.has(name)).map(([name]) => [name, Number(given.get(name))]));
}

function changed() {
  const given = answers();
  const open = CRITERIA.findIndex(([name]) => !(name in given));
  document.querySelectorAll("fieldset").forEach((set, number) => set.classList.toggle("now", number === open));
  element("send").disabled = open >= 0;
}

async function send() {
  if (!task || element("send").disabled) return;
  element("send").disabled = true;
  document.body.dataset.state = "sending";
  try {
    await ask(`task/${task.name}`, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ answers: answers() }),
    });
    await next();
  } catch (error) {
    say(error.message);
    element("send").disabled = false;
  }
}

function play(on) {
  playing = on;
  element("play").textContent = on ? "Pause" : "Play";
  if (on) { last = performance.now(); requestAnimationFrame(step); }
  draw();
}

function step(now) {
  if (!playing) return;
  const bar = element("time"), time = Number(bar.value) + (now - last) / 1000;
  last = now;
  bar.value = time >= length ? 0 : time;
  draw();
  requestAnimationFrame(step);
}

function draw() {
  const time = Number(element("time").value);
  element("clock").textContent = `${time.toFixed(1)} s`;
  for (const figure of figures) figure.draw(time);
}

element("form").addEventListener("change", changed);
element("form").addEventListener("submit", (event) => { event.preventDefault(); send(); });
element("play").addEventListener("click", () => play(!playing));
element("time").addEventListener("input", () => { playing = false; element("play").textContent = "Play"; draw(); });
window.addEventListener("resize", draw);
window.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !task) return;
  const choices = task.motions === 2 ? PAIR : SINGLE, number = Number(event.key);
  if (number >= 1 && number <= choices.length) {
    const given = answers(), open = CRITERIA.find(([name]) => !(name in given)) ?? CRITERIA[CRITERIA.length - 1];
    const input = [...document.querySelectorAll(`input[name="${open[0]}"]`)][number - 1];
    input.checked = true;
    changed();
  } else if (event.key === "Backspace") {
    event.preventDefault();
    const last = CRITERIA.findLast(([name]) => name in answers());
    if (last) document.querySelector(`input[name="${last[0]}"]:checked`).checked = false;
    changed();
  } else if (event.key === "Enter") {
    event.preventDefault();
    send();
  } else if (event.key === " ") {
    event.preventDefault();
    play(!playing);
  } else if ((event.key === "ArrowLeft" || event.key === "ArrowRight") && event.target.type !== "radio") {
    event.preventDefault();
    play(false);
    const bar = element("time");
    bar.value = Number(bar.value) + (event.key === "ArrowLeft" ? -1 : 1) / 30;
    draw();
  }
});

next().catch((error) => say(error.message));
