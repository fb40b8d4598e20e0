// Characters side by side on one canvas: floor, light with contact shadows, one camera for all, which may follow.

import { BufferAttribute, BufferGeometry, Color, DirectionalLight, Fog, GLTFLoader, HemisphereLight, LineBasicMaterial, LineSegments, Mesh, OrbitControls, PCFShadowMap, PerspectiveCamera, PlaneGeometry, Scene, ShadowMaterial, Vector3, WebGLRenderer } from "/static/vendor/three.js";
import { Actor } from "/static/actor.js";

const EYE = [2.3, 1.7, 3.4], LOOK = [0, 0.9, 0];
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
    this.scene = new Scene();
    this.camera = new PerspectiveCamera(38, 1, 0.05, 80);
    this.renderer = new WebGLRenderer({ canvas, antialias: true, preserveDrawingBuffer: false });
    this.renderer.shadowMap.enabled = true;
    this.renderer.shadowMap.type = PCFShadowMap;
    this.controls = new OrbitControls(this.camera, canvas);
    this.controls.maxPolarAngle = Math.PI * 0.495;
    this.controls.minDistance = 1;
    this.controls.maxDistance = 25;
    this.controls.addEventListener("change", () => this.#later());
    this.#light();
    this.theme();
    this.reset();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { this.theme(); this.draw(); });
    new ResizeObserver(() => this.#later()).observe(canvas);
  }

  /** Colours of the page, light or dark. */
  theme() {
    const style = getComputedStyle(document.documentElement), colour = (name) => style.getPropertyValue(name).trim();
    this.colours = { mark: colour("--mark"), left: colour("--left"), right: colour("--right") };
    this.scene.background = new Color(colour("--stage"));
    this.scene.fog = new Fog(this.scene.background, 9, 22);
    this.grid?.removeFromParent();
    this.grid = metres(colour("--grid"));
    this.grid.position.y = 0.002;
    this.grid.renderOrder = 1;
    this.scene.add(this.grid);
    for (const actor of this.actors) if (actor?.clip) actor.redraw();
  }

  reset() {
    this.camera.position.set(...EYE);
    this.controls.target.set(...LOOK);
    this.controls.update();
    this.draw();
  }

  /** Empty places for so many variations. */
  clear(count) {
    for (const actor of this.actors) actor?.dispose();
    this.actors = new Array(count).fill(null);
    this.alone = null;
    this.chosen = 0;
    this.frame = 0;
  }

  /** A character for a place, if it has none, and the clip that it shows. */
  async play(place, bytes, clip, always = false) {
    if (always || !this.actors[place]) {
      const gltf = await parseGlb(bytes), actor = new Actor(gltf, () => parseGlb(bytes));
      if (place >= this.actors.length) return;
      this.actors[place]?.dispose();
      this.actors[place] = actor;
      this.scene.add(actor.group);
    }
    this.actors[place].play(clip, this.colours);
    this.actors[place].frame = this.frame;
    await this.show({});
  }

  /** Turn things on or off. */
  async show(changes) {
    Object.assign(this.shown, changes);
    this.grid.visible = this.shown.grid;
    await Promise.all(this.actors.map((actor, place) => actor?.show({ ...this.shown, ghosts: this.shown.ghosts && place === this.chosen })));
    this.draw();
  }

  get length() {
    return Math.max(0, ...this.actors.map((actor) => actor?.clip?.frames ?? 0));
  }

  get fps() {
    return this.actors.find((actor) => actor?.clip)?.clip.fps ?? 30;
  }

  /** All characters at a frame; those whose motion is shorter stay at their end. */
  seek(frame) {
    this.frame = frame;
    for (const actor of this.actors) if (actor?.clip) actor.pose(Math.min(frame, actor.clip.frames - 1));
    this.draw();
  }

  draw() {
    const { canvas, renderer, camera } = this;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (!width || !height || !this.cells) return;
    const ratio = Math.min(2, devicePixelRatio || 1);
    if (renderer.getPixelRatio() !== ratio) renderer.setPixelRatio(ratio);
    const size = renderer.getSize({ set(w, h) { this.w = w; this.h = h; return this; } });
    if (size.w !== width || size.h !== height) renderer.setSize(width, height, false);
    const around = canvas.getBoundingClientRect(), eye = camera.position.clone();
    const boxes = [...this.cells.children];
    renderer.setScissorTest(true);
    if (!boxes.length) this.#view(null, 0, 0, width, height);
    for (const box of boxes) {
      if (box.hidden) continue;
      const rect = box.getBoundingClientRect(), actor = this.actors[Number(box.dataset.place)];
      this.#view(actor, rect.left - around.left, around.bottom - rect.bottom, rect.width, rect.height);
      camera.position.copy(eye);
    }
    camera.updateMatrixWorld();
  }

  /** A small picture of a variation, for the history. */
  picture(place = 0) {
    this.#view(this.actors[place], 0, 0, 96, 96);
    const ratio = this.renderer.getPixelRatio(), small = document.createElement("canvas");
    small.width = small.height = 96;
    small.getContext("2d").drawImage(this.canvas, 0, this.canvas.height - 96 * ratio, 96 * ratio, 96 * ratio, 0, 0, 96, 96);
    this.draw();
    return small.toDataURL("image/jpeg", 0.8);
  }

  /** One variation in one part of the canvas. */
  #view(actor, left, bottom, width, height) {
    const { renderer, camera, scene } = this;
    for (const other of this.actors) if (other) other.group.visible = other === actor;
    const place = actor?.clip?.frames ? actor.clip.place(actor.frame) : [0, 0.9, 0];
    const shift = this.shown.follow ? new Vector3(place[0], 0, place[2]) : new Vector3();
    const eye = camera.position.clone();
    camera.position.add(shift);
    camera.aspect = width / height;
    camera.fov = width < height ? Math.min(75, 38 * Math.sqrt(height / width)) : 38;
    camera.updateProjectionMatrix();
    camera.updateMatrixWorld();
    this.sun.position.set(place[0] + 0.6, 5, place[2] + 0.8);
    this.sun.target.position.set(place[0], 0, place[2]);
    this.sun.target.updateMatrixWorld();
    this.floor.position.set(place[0], 0, place[2]);
    this.grid.position.x = Math.round(place[0]);
    this.grid.position.z = Math.round(place[2]);
    renderer.setViewport(left, bottom, width, height);
    renderer.setScissor(left, bottom, width, height);
    renderer.render(scene, camera);
    camera.position.copy(eye);
  }

  #light() {
    this.scene.add(new HemisphereLight(0xffffff, 0x8a8478, 2.2));
    this.sun = new DirectionalLight(0xffffff, 1.9);
    this.sun.castShadow = true;
    this.sun.shadow.mapSize.set(1024, 1024);
    Object.assign(this.sun.shadow.camera, { left: -1.6, right: 1.6, top: 1.6, bottom: -1.6, near: 1, far: 8 });
    this.sun.shadow.radius = 4;
    this.floor = new Mesh(new PlaneGeometry(8, 8), new ShadowMaterial({ opacity: 0.32, depthWrite: false }));
    this.floor.rotation.x = -Math.PI / 2;
    this.floor.receiveShadow = true;
    this.scene.add(this.sun, this.sun.target, this.floor);
  }

  #later() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => { this.waiting = 0; this.draw(); });
  }
}

/** A floor of squares of a metre. In pieces of a metre too: long lines that pass the camera are dropped by some drivers. */
function metres(colour, reach = 20) {
  const points = [];
  for (let a = -reach; a <= reach; a++)
    for (let b = -reach; b < reach; b++) points.push(a, 0, b, a, 0, b + 1, b, 0, a, b + 1, 0, a);
  const geometry = new BufferGeometry().setAttribute("position", new BufferAttribute(new Float32Array(points), 3));
  return new LineSegments(geometry, new LineBasicMaterial({ color: colour }));
}
