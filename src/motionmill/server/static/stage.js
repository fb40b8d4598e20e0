// Characters side by side on one canvas: floor, light with contact shadows, one camera for all, which may follow.

import { BufferAttribute, BufferGeometry, CircleGeometry, Color, DirectionalLight, Fog, GLTFLoader, HemisphereLight, LineBasicMaterial, LineSegments, Mesh, MeshBasicMaterial, OrbitControls, PCFShadowMap, PerspectiveCamera, PlaneGeometry, Scene, ShadowMaterial, Vector3, WebGLRenderer } from "/static/vendor/three.js";
import { Actor } from "/static/actor.js";

const EYE = [1.9, 1.45, 3.3], LOOK = [0, 0.92, 0], ANGLE = 36; // metres, degrees
const TURN = Math.PI / 24, SMALL = 128; // radians a key, pixels of a picture
const loader = new GLTFLoader();

/** The bytes of a GLB file -> what is in it. */
export const parseGlb = (bytes) => loader.parseAsync(bytes.slice(0), "");

export class Stage {
  constructor(canvas, cells) {
    this.canvas = canvas;
    this.cells = cells;
    this.shown = { follow: true, grid: true, skeleton: false, path: true, contacts: true, ghosts: false };
    this.actors = [];
    this.alone = null; // the variation that is shown large
    this.chosen = 0;
    this.frame = 0;
    this.finesse = 1; // part of the pixels in a row that are drawn; fewer while a slow machine plays
    this.scene = new Scene();
    this.camera = new PerspectiveCamera(ANGLE, 1, 0.1, 80);
    this.renderer = new WebGLRenderer({ canvas, antialias: true, preserveDrawingBuffer: false });
    this.renderer.shadowMap.enabled = true;
    this.renderer.shadowMap.type = PCFShadowMap;
    this.controls = new OrbitControls(this.camera, canvas);
    this.controls.maxPolarAngle = Math.PI * 0.495;
    this.controls.minDistance = 1;
    this.controls.maxDistance = 25;
    this.controls.addEventListener("change", () => this.later());
    this.#light();
    this.theme();
    this.reset();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { this.theme(); this.later(); });
    new ResizeObserver(() => this.later()).observe(canvas);
  }

  /** Colours of the page, light or dark. */
  theme() {
    const style = getComputedStyle(document.documentElement);
    this.colours = Object.fromEntries(["mark", "left", "right", "body", "stage", "ground", "grid", "suit", "bare"].map((name) => [name, new Color(style.getPropertyValue(`--${name}`).trim())]));
    this.scene.background = this.colours.stage;
    this.scene.fog = new Fog(this.colours.stage, 5, 17);
    this.ground.material.color.copy(this.colours.ground);
    this.grid.material.color.copy(this.colours.grid);
    for (const actor of this.actors) actor?.theme(this.colours);
  }

  reset() {
    this.camera.position.set(...EYE);
    this.controls.target.set(...LOOK);
    this.controls.update();
    this.later();
  }

  /** Move the camera around what it looks at: steps to the right and upwards, and how much nearer (1: not at all). */
  turn(right, up, nearer = 1) {
    const { controls, camera } = this, arm = camera.position.clone().sub(controls.target);
    const length = Math.min(controls.maxDistance, Math.max(controls.minDistance, arm.length() / nearer));
    const around = Math.atan2(arm.x, arm.z) + right * TURN;
    const tilt = Math.min(controls.maxPolarAngle, Math.max(0.05, Math.acos(arm.y / arm.length()) - up * TURN));
    camera.position.copy(controls.target).add(new Vector3(Math.sin(around) * Math.sin(tilt), Math.cos(tilt), Math.cos(around) * Math.sin(tilt)).multiplyScalar(length));
    controls.update();
    this.later();
  }

  /** Empty places for so many variations. */
  clear(count) {
    for (const actor of this.actors) actor?.dispose();
    this.actors = new Array(count).fill(null);
    this.alone = null;
    this.chosen = 0;
    this.frame = 0;
  }

  /** A character for a place, if it has none or `anew`, and the clip that it shows. */
  async play(place, bytes, clip, anew = false) {
    if (anew || !this.actors[place]) {
      const { actors } = this, gltf = await parseGlb(bytes), actor = new Actor(gltf, () => parseGlb(bytes), this.colours);
      if (this.actors !== actors || place >= actors.length) { actor.dispose(); return; }
      actors[place]?.dispose();
      actors[place] = actor;
      this.scene.add(actor.group);
    }
    this.actors[place].frame = this.frame;
    this.actors[place].play(clip);
    await this.show({});
  }

  /** Turn things on or off. */
  async show(changes) {
    Object.assign(this.shown, changes);
    this.grid.visible = this.shown.grid;
    await Promise.all(this.actors.map((actor, place) => actor?.show({ ...this.shown, ghosts: this.shown.ghosts && place === this.chosen })));
    this.later();
  }

  get length() {
    return Math.max(0, ...this.actors.map((actor) => actor?.clip?.frames ?? 0));
  }

  get fps() {
    return this.actors.find((actor) => actor?.clip)?.clip.fps ?? 30;
  }

  /** All characters at a frame; those whose motion is shorter stay at their end. Drawn soon, or `now`. */
  seek(frame, now = false) {
    this.frame = frame;
    for (const actor of this.actors) if (actor?.clip) actor.pose(Math.min(frame, actor.clip.frames - 1));
    if (now) this.draw(); else this.later();
  }

  draw() {
    const { canvas, renderer } = this, width = canvas.clientWidth, height = canvas.clientHeight;
    if (!width || !height) return;
    const ratio = Math.min(2, devicePixelRatio || 1) * this.finesse;
    if (this.ratio !== ratio || this.width !== width || this.height !== height) {
      Object.assign(this, { ratio, width, height });
      renderer.setPixelRatio(ratio);
      renderer.setSize(width, height, false);
    }
    if (this.waiting) { cancelAnimationFrame(this.waiting); this.waiting = 0; }
    const around = canvas.getBoundingClientRect(), boxes = [...this.cells.children].filter((box) => !box.hidden);
    renderer.setScissorTest(true);
    if (!boxes.length) this.#view(null, 0, 0, width, height);
    for (const box of boxes) {
      const rect = box.getBoundingClientRect();
      this.#view(this.actors[Number(box.dataset.place)], rect.left - around.left, around.bottom - rect.bottom, rect.width, rect.height);
    }
    this.camera.updateMatrixWorld();
    this.drawn = (this.drawn ?? 0) + 1;
  }

  /** A small picture of a character in the middle of its motion, for the history. */
  picture(actor = this.actors[0]) {
    const { frame, clip } = actor, before = this.shown, eye = this.camera.position.clone(), target = this.controls.target.clone();
    this.shown = { ...before, follow: true };
    this.camera.position.set(...EYE).multiplyScalar(0.92);
    this.camera.lookAt(...LOOK);
    actor.pose(Math.floor(clip.frames * 0.45));
    const size = Math.min(SMALL, this.width, this.height), pixels = Math.floor(size * this.ratio), small = document.createElement("canvas");
    this.#view(actor, 0, 0, size, size);
    small.width = small.height = SMALL;
    small.getContext("2d").drawImage(this.canvas, 0, this.canvas.height - pixels, pixels, pixels, 0, 0, SMALL, SMALL);
    this.shown = before;
    this.camera.position.copy(eye);
    this.camera.lookAt(target);
    actor.pose(frame);
    this.draw();
    return small.toDataURL("image/jpeg", 0.82);
  }

  /** The same of a file that is not on the stage. */
  async pictureOf(bytes, clip) {
    const actor = new Actor(await parseGlb(bytes), null, this.colours);
    actor.play(clip);
    await actor.show({ path: true });
    this.scene.add(actor.group);
    try { return this.picture(actor); } finally { actor.dispose(); this.draw(); }
  }

  /** One variation in one part of the canvas. */
  #view(actor, left, bottom, width, height) {
    const { renderer, camera, scene } = this;
    for (const other of scene.children) if (other.isGroup) other.visible = other === actor?.group;
    const place = actor?.clip?.frames ? actor.clip.place(actor.frame) : LOOK;
    const shift = this.shown.follow ? new Vector3(place[0], 0, place[2]) : new Vector3();
    const eye = camera.position.clone();
    camera.position.add(shift);
    camera.aspect = width / height;
    camera.fov = width < height ? Math.min(75, ANGLE * Math.sqrt(height / width)) : ANGLE;
    camera.updateProjectionMatrix();
    camera.updateMatrixWorld();
    this.sun.position.set(place[0] + 1.1, 4.6, place[2] + 1.5);
    this.sun.target.position.set(place[0], 0, place[2]);
    this.sun.target.updateMatrixWorld();
    const back = camera.position.clone().sub(new Vector3(place[0], 0, place[2]));
    this.rim.position.set(-back.x, 2.5, -back.z);
    this.floor.position.set(place[0], 0.001, place[2]);
    this.ground.position.set(place[0], -0.002, place[2]);
    this.grid.position.set(Math.round(place[0]), 0, Math.round(place[2]));
    renderer.setViewport(left, bottom, width, height);
    renderer.setScissor(left, bottom, width, height);
    renderer.render(scene, camera);
    camera.position.copy(eye);
  }

  #light() {
    this.sun = new DirectionalLight(0xfff6ea, 2.3);
    this.sun.castShadow = true;
    this.sun.shadow.mapSize.set(1024, 1024);
    Object.assign(this.sun.shadow.camera, { left: -1.7, right: 1.7, top: 1.7, bottom: -1.7, near: 1, far: 8 });
    this.sun.shadow.radius = 5;
    this.sun.shadow.bias = -0.0008;
    this.sun.shadow.normalBias = 0.012;
    this.rim = new DirectionalLight(0xdfeaff, 1.1); // from behind, wherever the camera is
    this.floor = new Mesh(new PlaneGeometry(7, 7), new ShadowMaterial({ opacity: 0.24, depthWrite: false }));
    this.floor.rotation.x = -Math.PI / 2;
    this.floor.receiveShadow = true;
    this.floor.renderOrder = 1;
    this.ground = new Mesh(new CircleGeometry(30, 48), new MeshBasicMaterial());
    this.ground.rotation.x = -Math.PI / 2;
    this.grid = metres();
    this.scene.add(new HemisphereLight(0xffffff, 0x9a948a, 1.6), this.sun, this.sun.target, this.rim, this.ground, this.floor, this.grid);
  }

  /** Draw once before the next frame of the screen, however often this is asked. */
  later() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => { this.waiting = 0; this.draw(); });
  }
}

/** A floor of squares of a metre. In pieces of a metre too: long lines that pass the camera are dropped by some drivers. */
function metres(reach = 18) {
  const points = [];
  for (let a = -reach; a <= reach; a++)
    for (let b = -reach; b < reach; b++) points.push(a, 0, b, a, 0, b + 1, b, 0, a, b + 1, 0, a);
  const geometry = new BufferGeometry().setAttribute("position", new BufferAttribute(new Float32Array(points), 3));
  return new LineSegments(geometry, new LineBasicMaterial());
}
