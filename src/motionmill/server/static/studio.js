// The studio's page: what is asked for, what is shown, what is taken.

import { getJson, onToken, postJson, ask } from "/static/api.js";
import { History } from "/static/history.js";
import { Parts } from "/static/parts.js";
import { Player } from "/static/player.js";
import { Show } from "/static/show.js";
import { Stage } from "/static/stage.js";

const EXAMPLES = ["a tired person walks forward", "a person waves with the right hand", "a person runs in a circle", "a happy person jumps", "a person bows", "someone kicks with the left leg"];
const TOGGLES = [["follow", "Follow", "F"], ["grid", "Grid", "G"], ["skeleton", "Skeleton", "S"], ["path", "Path", "P"], ["contacts", "Contacts", "C"], ["ghosts", "Onion skin", "O"]];
const KEYS = [["Space", "play, pause"], ["← →", "one frame; with Shift ten"], ["Home End", "first, last frame"], ["1 – 4", "one variation alone; again: all"], ["R", "camera as at first"],
  ["B", "before and after the clean-up"], ...TOGGLES.map(([, name, key]) => [key, name.toLowerCase()]), ["?", "these keys"], ["Enter", "in the prompt: generate"]];
const FORMATS = [["glb", "GLB"], ["bvh", "BVH"], ["fbx", "FBX"], ["usd", "USD"], ["usdz", "USDZ"], ["npz", "NPZ (AMASS)"], ["npy", "272 features"], ["mp4", "MP4 film"], ["gif", "GIF"], ["png", "Contact sheet"]];
const NUMBERS = { foot_slide_mm_per_frame: ["Foot slide", "mm/frame"], floating_percent: ["Floating", "%"], penetration_mm: ["Penetration", "mm"], jitter_100_m_per_s3: ["Jitter", "× 100 m/s³"] };

const at = (id) => document.getElementById(id);
const problem = (text) => { at("problem").textContent = text; };
let isRaw = false;

onToken(async () => {
  const door = at("door");
  at("token").value = "";
  door.showModal();
  await new Promise((resolve) => door.addEventListener("close", resolve, { once: true }));
  return at("token").value;
});

if (!document.createElement("canvas").getContext("webgl2")) problem("This browser shows no 3D: WebGL 2 is off.");
const stage = new Stage(at("canvas"), at("cells"));
const player = new Player(stage, { play: at("play"), bar: at("time"), clock: at("clock"), blocks: at("blocks") });
const parts = new Parts(at("parts"), at("add"), () => at("form").requestSubmit());
const history = new History(at("history"), (id) => { location.hash = `job=${id}`; });
const page = {
  status: (text) => { at("status").textContent = text; },
  state: (name) => {
    document.body.dataset.state = name;
    at("cancel").hidden = !["queued", "running", "waiting"].includes(name);
    for (const draft of document.querySelectorAll(".draft")) draft.hidden = name !== "running";
  },
  cells: layout,
  changed: () => { player.changed(); numbers(); },
  arrived: (frames) => {
    document.body.dataset.frames = frames;
    player.changed();
    if (!player.playing && player.frame === 0 && frames > 4) player.toggle(true);
  },
  finished: (job) => {
    player.parts(job.request.timeline ?? [], job.motions[0].seconds);
    if (!player.playing && !matchMedia("(prefers-reduced-motion: reduce)").matches) player.toggle(true);
    history.keep(job.id, stage.picture(0));
    history.refresh();
  },
};
const show = new Show(stage, page);

/** A cell for every variation, with its name; one of them may be alone. */
function layout(names) {
  const cells = at("cells"), columns = names.length > 2 ? 2 : names.length;
  cells.classList.toggle("many", names.length > 1);
  cells.style.gridTemplateColumns = `repeat(${columns}, minmax(0, 1fr))`;
  cells.style.gridTemplateRows = `repeat(${Math.ceil(names.length / columns)}, minmax(0, 1fr))`;
  cells.replaceChildren(...names.map((name, place) => {
    const cell = document.createElement("div"), button = document.createElement("button"), draft = document.createElement("p");
    cell.className = "cell";
    cell.dataset.place = place;
    button.type = "button";
    button.textContent = names.length > 1 ? `${place + 1} · ${name}` : name;
    button.addEventListener("click", () => choose(place, false));
    draft.className = "draft";
    draft.textContent = "draft";
    draft.hidden = true;
    cell.append(button, draft);
    return cell;
  }));
  at("empty").hidden = true;
  choose(0, false);
}

/** The variation whose numbers are shown and whose file is taken; alone if it was chosen already and that is asked. */
function choose(place, alone) {
  const cells = [...at("cells").children];
  if (place >= cells.length) return;
  const only = alone && cells.length > 1 && !(stage.alone === place);
  stage.chosen = place;
  stage.alone = only ? place : null;
  cells.forEach((cell, number) => {
    cell.hidden = only && number !== place;
    cell.classList.toggle("chosen", number === place);
  });
  at("cells").style.gridTemplateColumns = `repeat(${only || cells.length < 2 ? 1 : 2}, minmax(0, 1fr))`;
  at("cells").style.gridTemplateRows = `repeat(${only ? 1 : Math.ceil(cells.length / 2)}, minmax(0, 1fr))`;
  at("whose").textContent = cells.length > 1 ? `Physics of ${place + 1}` : "Physics";
  numbers();
  stage.show({});
}

function numbers() {
  const physics = stage.actors[stage.chosen]?.clip?.physics ?? {};
  at("physics").replaceChildren(...Object.entries(NUMBERS).map(([name, [words, unit]]) => {
    const row = document.createElement("tr"), head = document.createElement("th"), value = document.createElement("td");
    head.scope = "row";
    head.textContent = words;
    value.textContent = name in physics ? `${physics[name].toFixed(2)} ${unit}` : "–";
    row.append(head, value);
    return row;
  }));
}

async function toggle(name, on = !stage.shown[name]) {
  await stage.show({ [name]: on });
  at(`show-${name}`).checked = on;
}

/** Do something; what goes wrong is said on the page. */
async function attempt(action) {
  problem("");
  try {
    return await action();
  } catch (error) {
    problem(error instanceof TypeError ? "The server does not answer." : error.message);
    return undefined;
  }
}

async function generate() {
  const values = parts.values;
  if (!at("lock").checked) at("seed").value = Math.floor(Math.random() * 1_000_000);
  const wanted = { ...(values.length > 1 ? { timeline: values } : values[0]), seed: Number(at("seed").value), samples: Number(at("samples").value) };
  at("go").disabled = true;
  const job = await attempt(() => postJson("/v1/motions", wanted));
  at("go").disabled = false;
  if (job) location.hash = `job=${job.id}`;
}

/** Show the job in the address. */
async function follow() {
  const id = /^#job=([0-9a-f]{24})$/.exec(location.hash)?.[1];
  if (!id) return;
  player.toggle(false);
  player.rewind();
  isRaw = false;
  at("before").textContent = "Before";
  history.mark(id);
  history.refresh();
  page.status("");
  await attempt(async () => {
    const job = await getJson(`/v1/jobs/${id}`);
    if (!parts.values[0].prompt) parts.set(job.request.timeline?.length ? job.request.timeline : [job.request]);
    at("cleanup").value = at("strength").value = job.request.cleanup ?? 1;
    player.parts(job.request.timeline ?? []);
    await show.open(id);
  });
  history.refresh();
}

async function clean(strength) {
  at("strength").value = strength;
  if (show.job?.state === "done" || show.file) await attempt(() => show.clean(strength));
}

function before() {
  isRaw = !isRaw;
  at("before").textContent = isRaw ? "After" : "Before";
  return clean(isRaw ? 0 : Number(at("cleanup").value));
}

async function take() {
  const format = at("format").value;
  await attempt(async () => {
    if (!stage.actors[stage.chosen]?.clip || !(show.job?.state === "done" || show.file)) throw new Error("There is no finished motion to take yet.");
    page.status(`Writing ${format.toUpperCase()} …`);
    const [bytes, name] = await show.take(stage.chosen, format, at("names").value, isRaw ? 0 : Number(at("cleanup").value));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([bytes]));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    page.status(`${name}: ${(bytes.byteLength / 1024).toFixed(0)} kB`);
  });
}

const openFile = (file) => file && attempt(() => { player.rewind(); page.status(`Reading ${file.name} …`); return show.openFile(file).then(() => page.status(file.name)); });

at("examples").append(...EXAMPLES.map((text) => {
  const button = document.createElement("button");
  Object.assign(button, { type: "button", textContent: text });
  button.addEventListener("click", () => parts.fill(text));
  return button;
}));
at("toggles").append(...TOGGLES.map(([name, text, key]) => {
  const label = document.createElement("label"), input = document.createElement("input"), words = document.createElement("span");
  Object.assign(input, { type: "checkbox", id: `show-${name}`, checked: stage.shown[name] });
  input.addEventListener("change", () => toggle(name, input.checked));
  words.textContent = text;
  label.title = `key ${key}`;
  label.append(input, words);
  return label;
}));
at("format").append(...FORMATS.map(([value, text]) => Object.assign(document.createElement("option"), { value, textContent: text })));
at("keys").append(...KEYS.map(([key, text]) => {
  const row = document.createElement("tr"), first = document.createElement("td"), second = document.createElement("td"), name = document.createElement("kbd");
  name.textContent = key;
  second.textContent = text;
  first.append(name);
  row.append(first, second);
  return row;
}));
at("form").addEventListener("submit", (event) => { event.preventDefault(); generate(); });
at("cancel").addEventListener("click", () => attempt(() => ask(`/v1/jobs/${show.job.id}`, { method: "DELETE" })));
at("cleanup").addEventListener("change", () => { isRaw = false; at("before").textContent = "Before"; clean(Number(at("cleanup").value)); });
at("before").addEventListener("click", before);
at("take").addEventListener("click", take);
at("share").addEventListener("click", () => attempt(async () => { await navigator.clipboard.writeText(location.href); page.status("The link is copied."); }));
at("file").addEventListener("change", () => openFile(at("file").files[0]));
at("stage").addEventListener("dragover", (event) => { event.preventDefault(); at("stage").classList.add("drop"); });
at("stage").addEventListener("dragleave", () => at("stage").classList.remove("drop"));
at("stage").addEventListener("drop", (event) => { event.preventDefault(); at("stage").classList.remove("drop"); openFile(event.dataTransfer.files[0]); });
window.addEventListener("hashchange", follow);
window.addEventListener("keydown", (event) => {
  const { key, target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || /^(TEXTAREA|SELECT)$/.test(target.tagName) || ["number", "password"].includes(target.type) || document.querySelector("dialog[open]")) return;
  const step = event.shiftKey ? 10 : 1, letter = key.toUpperCase(), toggled = TOGGLES.find(([, , each]) => each === letter);
  const range = target.type === "range" && target.id !== "time";
  if (key === " " && !/^(BUTTON|SUMMARY)$/.test(target.tagName) && target.type !== "checkbox") player.toggle();
  else if (key === "ArrowLeft" && !range) player.by(-step);
  else if (key === "ArrowRight" && !range) player.by(step);
  else if (key === "Home" && !range) player.seek(0);
  else if (key === "End" && !range) player.seek(stage.length - 1);
  else if (/^[1-4]$/.test(key)) choose(Number(key) - 1, true);
  else if (letter === "R") stage.reset();
  else if (letter === "B") before();
  else if (toggled) toggle(toggled[0]);
  else if (key === "?") at("help").showModal();
  else return;
  event.preventDefault();
});

numbers();
stage.draw();
attempt(async () => {
  const { models } = await getJson("/v1/models");
  at("model").textContent = models[0].name;
  at("model").title = models[0].licence;
});
history.refresh();
if (location.hash) follow(); else parts.focus();
document.body.dataset.ready = "true";
