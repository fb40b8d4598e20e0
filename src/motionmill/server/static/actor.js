// A character from a GLB file that shows any frame of a clip, with its bones, shadow, path, contacts and ghosts.

import { BufferAttribute, BufferGeometry, CanvasTexture, CircleGeometry, Group, Mesh, MeshBasicMaterial, MeshStandardMaterial, PlaneGeometry, SphereGeometry, Vector3 } from "/static/vendor/three.js";
import { bonesOf } from "/static/clip.js";
import { FEET, LEFT, PARENTS, RIGHT } from "/static/skeleton.js";

const GHOSTS = [-20, -10, 10, 20]; // frames
const BARE_RED = 0.72, SUIT_RED = 0.1; // linear, of the two tones of the file's mannequin
const place = new Vector3();

export class Actor {
  /** `parse` gives a new copy of the character: {scene}. `colours` are the page's. */
  constructor(gltf, parse, colours) {
    this.parse = parse;
    this.group = new Group();
    this.figure = gltf.scene;
    this.bones = bonesOf(this.figure);
    this.meshes = meshesOf(this.figure);
    for (const mesh of this.meshes) { mesh.castShadow = true; mesh.frustumCulled = false; }
    this.skeleton = bonesAsMeshes(this.bones);
    this.path = new Mesh(new BufferGeometry(), flat());
    this.path.renderOrder = 2;
    this.marks = new Group();
    this.blobs = [0.95, 0.42, 0.42].map((size) => blob(size));
    this.ghosts = [];
    this.group.add(this.figure, this.path, this.marks, ...this.blobs);
    this.clip = null;
    this.frame = 0;
    this.theme(colours);
  }

  /** The page's colours, light or dark. */
  theme(colours) {
    this.colours = colours;
    for (const mesh of this.meshes) dress(mesh, colours);
    for (const { mesh, joint } of this.skeleton) mesh.material.color.set(sided(joint, colours));
    this.path.material.color.set(colours.mark);
    for (const ghost of this.ghosts) tint(ghost, colours);
    if (this.clip) this.redraw();
  }

  /** Show another clip; the contacts are where its feet rest. */
  play(clip) {
    this.clip = clip;
    this.redraw();
    this.pose(Math.min(this.frame, clip.frames - 1));
  }

  /** The path and the contacts anew, after frames have come. */
  redraw() {
    const { clip, colours } = this;
    this.path.geometry.dispose();
    this.path.geometry = ribbon(clip, 0.012);
    for (const mark of this.marks.children) { mark.geometry.dispose(); mark.material.dispose(); }
    this.marks.clear();
    for (const [foot, start, end] of clip.contacts) {
      this.#set(this.bones, (start + end - 1) / 2);
      this.figure.updateMatrixWorld(true);
      this.bones[FEET[foot]].getWorldPosition(place);
      const mark = new Mesh(new CircleGeometry(foot < 2 ? 0.05 : 0.04, 24), flat(foot % 2 ? colours.right : colours.left));
      mark.rotation.x = -Math.PI / 2;
      mark.position.set(place.x, 0.006, place.z);
      mark.renderOrder = 3;
      mark.userData = { start, end };
      this.marks.add(mark);
    }
  }

  pose(frame) {
    if (!this.clip || !this.clip.frames) return;
    this.frame = frame;
    this.#set(this.bones, frame);
    for (const mark of this.marks.children) mark.material.opacity = frame >= mark.userData.start && frame < mark.userData.end ? 0.95 : 0.2;
    for (const ghost of this.ghosts) {
      const at = frame + ghost.offset;
      ghost.scene.visible = at >= 0 && at < this.clip.frames;
      if (ghost.scene.visible) this.#set(ghost.bones, at);
    }
    this.figure.updateMatrixWorld(true);
    [0, FEET[2], FEET[3]].forEach((joint, number) => {
      this.bones[joint].getWorldPosition(place);
      const low = number ? 0.3 : 1.4; // the softer the higher
      this.blobs[number].position.set(place.x, 0.003, place.z);
      this.blobs[number].material.opacity = Math.max(0, 1 - Math.max(0, place.y - (number ? 0.02 : 0.2)) / low) * (number ? 0.5 : 0.55);
    });
  }

  /** Which of {skeleton, path, contacts, ghosts} are seen. */
  async show(wanted) {
    for (const mesh of this.meshes) mesh.visible = !wanted.skeleton;
    for (const { mesh } of this.skeleton) mesh.visible = wanted.skeleton;
    this.path.visible = wanted.path;
    this.marks.visible = wanted.contacts;
    this.wantsGhosts = wanted.ghosts;
    if (wanted.ghosts && !this.ghosts.length) await this.#addGhosts();
    if (!this.wantsGhosts) {
      for (const ghost of this.ghosts) { free(ghost.scene); this.group.remove(ghost.scene); }
      this.ghosts = [];
    }
    this.pose(this.frame);
  }

  dispose() {
    free(this.group);
    this.group.removeFromParent();
  }

  async #addGhosts() {
    const made = await Promise.all(GHOSTS.map(async (offset) => {
      const { scene } = await this.parse();
      return { offset, scene, bones: bonesOf(scene) };
    }));
    if (this.ghosts.length || !this.wantsGhosts) return;
    for (const ghost of made) {
      tint(ghost, this.colours);
      this.group.add(ghost.scene);
    }
    this.ghosts = made;
  }

  #set(bones, frame) {
    const clip = this.clip;
    bones[0].position.set(...clip.place(frame));
    for (let joint = 0; joint < bones.length; joint++) clip.turn(frame, joint, bones[joint].quaternion);
  }
}

/** The mannequin's two tones in the page's colours: what the file has is meant for any light. */
function dress(mesh, colours) {
  const { geometry } = mesh;
  if (!geometry.attributes.color) return;
  geometry.userData.tone ??= Float32Array.from({ length: geometry.attributes.color.count }, (_, k) => (BARE_RED - geometry.attributes.color.getX(k)) / (BARE_RED - SUIT_RED));
  const { tone } = geometry.userData, made = new Float32Array(3 * tone.length), { bare, suit } = colours;
  tone.forEach((part, k) => made.set([bare.r + part * (suit.r - bare.r), bare.g + part * (suit.g - bare.g), bare.b + part * (suit.b - bare.b)], 3 * k));
  geometry.setAttribute("color", new BufferAttribute(made, 3));
  mesh.material.roughness = 0.62;
}

/** What was is of one colour, what will be of the other. */
function tint(ghost, colours) {
  for (const mesh of meshesOf(ghost.scene)) {
    mesh.frustumCulled = false;
    mesh.material.vertexColors = false;
    mesh.material.transparent = true;
    mesh.material.opacity = 0.34 - Math.abs(ghost.offset) / 110;
    mesh.material.color.set(ghost.offset < 0 ? colours.right : colours.left);
    mesh.material.needsUpdate = true;
  }
}

const sided = (joint, colours) => (LEFT.has(joint) ? colours.left : RIGHT.has(joint) ? colours.right : colours.body);

/** Every bone as an eight-sided wedge from its parent, every joint as a ball; they move with the joints that they hang on. */
function bonesAsMeshes(bones) {
  const made = [];
  const add = (joint, parent, geometry) => {
    const mesh = new Mesh(geometry, new MeshStandardMaterial({ roughness: 0.6, flatShading: true }));
    mesh.castShadow = true;
    mesh.visible = false;
    mesh.frustumCulled = false;
    parent.add(mesh);
    made.push({ mesh, joint });
  };
  bones.forEach((bone, joint) => {
    add(joint, bone, new SphereGeometry(0.024, 12, 8));
    if (joint) add(joint, bones[PARENTS[joint]], wedge(bone.position));
  });
  return made;
}

function wedge(to) {
  const length = to.length(), wide = Math.min(0.035, 0.16 * length), along = to.clone().normalize();
  const side = new Vector3(0, 0, 1).cross(along).lengthSq() > 0.1 ? new Vector3(0, 0, 1).cross(along).normalize() : new Vector3(1, 0, 0).cross(along).normalize();
  const other = along.clone().cross(side), belly = to.clone().multiplyScalar(0.2);
  const ring = [[1, 0], [0, 1], [-1, 0], [0, -1]].map(([a, b]) => belly.clone().addScaledVector(side, a * wide).addScaledVector(other, b * wide));
  const points = ring.flatMap((corner, k) => [new Vector3(), ring[(k + 1) % 4], corner, to, corner, ring[(k + 1) % 4]]);
  const geometry = new BufferGeometry().setAttribute("position", new BufferAttribute(new Float32Array(points.flatMap((point) => point.toArray())), 3));
  geometry.computeVertexNormals();
  return geometry;
}

/** The way of the root on the floor as a band of a width in metres. */
function ribbon(clip, width) {
  const points = [], index = [], { root, frames } = clip;
  let sideX = 0, sideZ = 0;
  for (let frame = 0; frame < frames; frame++) {
    const a = Math.max(0, frame - 2), b = Math.min(frames - 1, frame + 2), x = root[3 * b] - root[3 * a], z = root[3 * b + 2] - root[3 * a + 2], length = Math.hypot(x, z);
    if (length > 0.004) { sideX = (-z / length) * width; sideZ = (x / length) * width; }
    points.push(root[3 * frame] + sideX, 0.005, root[3 * frame + 2] + sideZ, root[3 * frame] - sideX, 0.005, root[3 * frame + 2] - sideZ);
    if (frame) index.push(2 * frame - 2, 2 * frame - 1, 2 * frame, 2 * frame, 2 * frame - 1, 2 * frame + 1, 2 * frame, 2 * frame - 1, 2 * frame - 2, 2 * frame + 1, 2 * frame - 1, 2 * frame);
  }
  const geometry = new BufferGeometry().setAttribute("position", new BufferAttribute(new Float32Array(points), 3));
  geometry.setIndex(index);
  return geometry;
}

const flat = (color = 0xffffff) => new MeshBasicMaterial({ color, transparent: true, depthWrite: false, opacity: 0.75 });

let round = null; // the picture of a soft disc, drawn once

/** A soft dark disc that lies on the floor: the shadow of what is near it, whatever the light. */
function blob(size) {
  if (!round) {
    const canvas = document.createElement("canvas"), pen = canvas.getContext("2d");
    canvas.width = canvas.height = 64;
    const fade = pen.createRadialGradient(32, 32, 0, 32, 32, 32);
    fade.addColorStop(0, "rgba(0, 0, 0, .62)");
    fade.addColorStop(0.45, "rgba(0, 0, 0, .26)");
    fade.addColorStop(1, "rgba(0, 0, 0, 0)");
    pen.fillStyle = fade;
    pen.fillRect(0, 0, 64, 64);
    round = new CanvasTexture(canvas);
  }
  const mesh = new Mesh(new PlaneGeometry(size, size), new MeshBasicMaterial({ map: round, transparent: true, depthWrite: false }));
  mesh.rotation.x = -Math.PI / 2;
  mesh.renderOrder = 1;
  return mesh;
}

function free(scene) {
  scene.traverse((node) => {
    node.geometry?.dispose();
    node.material?.dispose();
    node.skeleton?.dispose?.();
  });
}

function meshesOf(scene) {
  const meshes = [];
  scene.traverse((node) => { if (node.isSkinnedMesh) meshes.push(node); });
  return meshes;
}
