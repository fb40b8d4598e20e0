// The studio's page: what is asked for, what is shown, what is taken.

import { ask, getBytes, getJson, onToken, postJson } from "/static/api.js";
import { clipOf } from "/static/clip.js";
import { askAtDoor } from "/static/door.js";
import { History, promptOf } from "/static/history.js";
import { Inspector, TOGGLES } from "/static/inspector.js";
import { listen } from "/static/keys.js";
import { Parts } from "/static/parts.js";
import { Player } from "/static/player.js";
import { Show } from "/static/show.js";
import { Stage, parseGlb } from "/static/stage.js";

const EXAMPLES = ["a tired person walks forward", "a person waves with the right hand", "a person runs in a circle", "a happy person jumps", "a person bows", "someone kicks with the left leg"];
const ADDRESS = /^#job=([0-9a-f]{24})(?:&take=([1-8]))?(?:&frame=(\d{1,5}))?$/;

const at = (id) => document.getElementById(id);
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const problem = (text) => { at("problem").textContent = text; };

onToken(askAtDoor);

if (!document.createElement("canvas").getContext("webgl2")) problem("This browser shows no 3D: WebGL 2 is off.");
const stage = new Stage(at("canvas"), at("cells"));
const player = new Player(stage, { play: at("play"), bar: at("time"), clock: at("clock"), seconds: at("seconds"), blocks: at("blocks"), ruler: at("ruler"), speed: at("speed") });
const parts = new Parts(at("parts"), at("add"), () => at("form").requestSubmit());
const page = {
  status: (text) => { if (at("status").textContent !== text) at("status").textContent = text; },
  state: (name) => {
    const busy = ["queued", "running", "waiting"].includes(name);
    document.body.dataset.state = name;
    at("cancel").hidden = !busy;
    if (!busy) page.progress(null);
    for (const draft of document.querySelectorAll(".draft")) draft.hidden = name !== "running";
  },
  progress: (part) => {
    at("progress").hidden = part === null;
    if (part >= 0) at("progress").value = Math.min(1, part); else at("progress").removeAttribute("value");
  },
  cells: layout,
  changed: () => { player.changed(); inspector.refresh(); },
  arrived: (frames) => {
    document.body.dataset.frames = frames;
    player.changed();
    if (!calm.matches && !player.playing && player.frame === 0 && frames > 4) player.toggle(true);
  },
  finished: (job) => {
    const [, , take, frame] = ADDRESS.exec(location.hash) ?? [];
    player.sharpen();
    player.parts(job.request.timeline ?? [], job.motions[0].seconds);
    if (take) choose(Number(take) - 1, false);
    if (frame) player.seek(Number(frame));
    else if (!player.playing && !calm.matches) player.toggle(true);
    history.keep(job, stage.picture());
    measure();
  },
};
const show = new Show(stage, page);
const inspector = new Inspector(stage, show, { attempt, status: page.status, link });
const history = new History(at("history"), at("nothing"), { open: (id, request) => { if (location.hash === `#job=${id}`) follow(request); else { remembered = request; location.hash = `job=${id}`; } }, draw: pictureOf });
let asked = null; // the job that was asked for here last: its events are read at once
let remembered = null; // the request of a history entry, if the server should have forgotten it

/** A cell for every variation, with its name; one of them may be alone. */
function layout(names, place = 0) {
  const cells = at("cells");
  cells.classList.toggle("many", names.length > 1);
  cells.replaceChildren(...names.map((name, number) => {
    const cell = document.createElement("div"), button = document.createElement("button"), draft = document.createElement("p");
    cell.className = "cell";
    cell.dataset.place = number;
    button.type = "button";
    button.textContent = names.length > 1 ? `${number + 1} · ${name}` : name;
    button.hidden = !name;
    button.addEventListener("click", () => choose(number, false));
    draft.className = "draft";
    draft.textContent = "draft";
    draft.hidden = true;
    cell.append(button, draft);
    return cell;
  }));
  at("empty").hidden = names[0] !== "";
  choose(place, false);
}

/** The variation whose numbers are shown and whose file is taken; alone if that is asked and it is not. */
function choose(place, alone) {
  const cells = [...at("cells").children], columns = Math.ceil(Math.sqrt(cells.length));
  if (place >= cells.length) return;
  const only = alone && cells.length > 1 && stage.alone !== place;
  stage.chosen = place;
  stage.alone = only ? place : null;
  cells.forEach((cell, number) => {
    cell.hidden = only && number !== place;
    cell.classList.toggle("chosen", number === place);
    cell.firstChild.setAttribute("aria-pressed", String(number === place));
  });
  at("cells").style.gridTemplateColumns = `repeat(${only ? 1 : columns}, minmax(0, 1fr))`;
  at("cells").style.gridTemplateRows = `repeat(${only ? 1 : Math.ceil(cells.length / columns)}, minmax(0, 1fr))`;
  page.changed();
  stage.show({});
  if (document.body.dataset.state === "done") measure();
}

/** The numbers of the chosen character before the clean-up, to stand beside those after it. */
function measure() {
  show.takes[stage.chosen]?.at(0).then(() => inspector.refresh(), () => {}); // without them a dash stays there
}

/** Do something; what goes wrong is said on the page. */
async function attempt(action) {
  problem("");
  try {
    return await action();
  } catch (error) {
    page.status("");
    problem(error instanceof TypeError ? "The server does not answer." : error.message);
    return undefined;
  }
}

async function generate() {
  const values = parts.values, samples = Number(document.querySelector("#samples input:checked").value);
  if (!at("lock").checked || !at("seed").value) at("seed").value = Math.floor(Math.random() * 1_000_000);
  const wanted = { ...(values.length > 1 ? { timeline: values } : values[0]), seed: Number(at("seed").value), samples, cleanup: Number(at("cleanup").value) };
  at("go").disabled = true;
  const job = await attempt(() => postJson("/v1/motions", wanted));
  at("go").disabled = false;
  asked = job;
  if (job) location.hash = `job=${job.id}`;
}

/** Put a request into the form. */
function fill({ seed, samples = 1, cleanup = 1, timeline, ...single }) {
  parts.set(timeline?.length ? timeline : [single]);
  at("seed").value = seed;
  at("cleanup").value = at("strength").value = cleanup;
  const choice = document.querySelector(`#samples input[value="${samples}"]`);
  if (choice) choice.checked = true;
}

/** Show the job in the address. */
async function follow(request = remembered) {
  const id = ADDRESS.exec(location.hash)?.[1];
  remembered = null;
  if (!id) {
    if (location.hash) problem("This address names no result; it should end in #job= and 24 digits.");
    return;
  }
  player.toggle(false);
  player.rewind();
  history.mark(id);
  page.status("");
  await attempt(async () => {
    let job;
    try {
      job = asked?.id === id ? asked : await getJson(`/v1/jobs/${id}`);
      asked = null;
    } catch (error) {
      if (error.status !== 404 || !request) throw error;
      fill(request);
      at("lock").checked = true;
      throw new Error("The server has forgotten this result. Its prompt and seed are in the form: Generate makes it again.");
    }
    fill(job.request);
    document.title = `${promptOf(job.request)} · MotionMill`;
    player.parts(job.request.timeline ?? []);
    const shown = show.open(job);
    history.refresh();
    await shown;
  });
  history.refresh();
}

/** The address of what is shown; of this moment, if it is paused. */
function link() {
  if (!show.job) return "";
  const take = show.takes.length > 1 ? `&take=${stage.chosen + 1}` : "", frame = player.playing ? "" : `&frame=${Math.round(player.frame)}`;
  return `${location.origin}/#job=${show.job.id}${take}${frame}`;
}

/** A picture of a job that another browser has made; not while something is made here. */
async function pictureOf(id) {
  if (show.following) return null;
  try {
    const job = await getJson(`/v1/jobs/${id}`), bytes = await getBytes(`/v1/motions/${id}-0.glb`);
    const picture = await stage.pictureOf(bytes, clipOf(await parseGlb(bytes)));
    history.keep(job, picture);
    return picture;
  } catch {
    return null; // it may be gone: there is no picture then
  }
}

async function openFiles(files) {
  for (const file of [...files].slice(0, 4)) await attempt(() => show.openFile(file));
}

at("examples").append(...EXAMPLES.map((text) => {
  const button = document.createElement("button");
  Object.assign(button, { type: "button", textContent: text });
  button.addEventListener("click", () => parts.fill(text));
  return button;
}));
at("samples").append(...[1, 2, 3, 4].map((count) => {
  const label = document.createElement("label"), input = document.createElement("input"), words = document.createElement("span");
  Object.assign(input, { type: "radio", name: "samples", value: count, checked: count === 1 });
  words.textContent = count;
  label.append(input, words);
  return label;
}));
at("form").addEventListener("submit", (event) => { event.preventDefault(); generate(); });
at("cancel").addEventListener("click", () => attempt(() => ask(`/v1/jobs/${show.job.id}`, { method: "DELETE" })));
at("keys-button").addEventListener("click", () => at("help").showModal());
at("file").addEventListener("change", () => openFiles(at("file").files).then(() => { at("file").value = ""; }));
window.addEventListener("dragover", (event) => { event.preventDefault(); at("stage").classList.add("drop"); });
window.addEventListener("dragleave", (event) => { if (!event.relatedTarget) at("stage").classList.remove("drop"); });
window.addEventListener("drop", (event) => { event.preventDefault(); at("stage").classList.remove("drop"); openFiles(event.dataTransfer.files); });
window.addEventListener("hashchange", () => follow());
listen({ player, stage, toggles: TOGGLES, toggle: (name) => inspector.toggle(name), choose: (place) => choose(place, true), before: () => inspector.before(), help: () => at("help").showModal() });

stage.draw();
at("go").disabled = false;
document.body.dataset.ready = "true";
attempt(async () => {
  const { models } = await getJson("/v1/models");
  at("model").textContent = models[0].name;
  at("model").title = models[0].licence;
});
if (location.hash) follow(); else { parts.focus(); history.refresh(); show.idle().catch(() => {}); }

export { player, show, stage }; // for tests, and for whoever looks in from the console
