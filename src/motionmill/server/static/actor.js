// A character from a GLB file that shows any frame of a clip, with its path, contacts and ghosts.

import { BufferAttribute, BufferGeometry, CircleGeometry, Group, Line, LineBasicMaterial, Mesh, MeshBasicMaterial, SkeletonHelper, Vector3 } from "/static/vendor/three.js";
import { bonesOf } from "/static/clip.js";

const FEET = [7, 8, 10, 11]; // left and right ankle, left and right foot
const GHOSTS = [-20, -10, 10, 20]; // frames

export class Actor {
  /** `parse` gives a new copy of the character: {scene}. */
  constructor(gltf, parse) {
    this.parse = parse;
    this.group = new Group();
    this.figure = gltf.scene;
    this.bones = bonesOf(this.figure);
    this.meshes = meshesOf(this.figure);
    for (const mesh of this.meshes) { mesh.castShadow = true; mesh.frustumCulled = false; }
    this.skeleton = new SkeletonHelper(this.figure);
    this.skeleton.material.depthTest = false;
    this.skeleton.material.linewidth = 2;
    this.path = new Line(new BufferGeometry(), new LineBasicMaterial());
    this.marks = new Group();
    this.ghosts = [];
    this.group.add(this.figure, this.skeleton, this.path, this.marks);
    this.clip = null;
    this.frame = 0;
  }

  /** Show another clip; the contacts are where its feet rest. */
  play(clip, colours) {
    this.clip = clip;
    this.colours = colours;
    this.redraw();
    this.pose(Math.min(this.frame, clip.frames - 1));
  }

  /** The path and the contacts anew, after frames have come. */
  redraw() {
    const { clip, colours } = this, points = new Float32Array(3 * clip.frames);
    for (let frame = 0; frame < clip.frames; frame++) points.set([clip.root[3 * frame], 0.006, clip.root[3 * frame + 2]], 3 * frame);
    this.path.geometry.dispose();
    this.path.geometry = new BufferGeometry().setAttribute("position", new BufferAttribute(points, 3));
    this.path.material.color.set(colours.mark);
    for (const mark of this.marks.children) mark.geometry.dispose();
    this.marks.clear();
    const place = new Vector3();
    for (const [foot, start, end] of clip.contacts) {
      this.#set(this.bones, (start + end - 1) / 2);
      this.figure.updateMatrixWorld(true);
      this.bones[FEET[foot]].getWorldPosition(place);
      const mark = new Mesh(new CircleGeometry(foot < 2 ? 0.05 : 0.04, 20), new MeshBasicMaterial({ color: foot % 2 ? colours.right : colours.left, transparent: true }));
      mark.rotation.x = -Math.PI / 2;
      mark.position.set(place.x, 0.004, place.z);
      mark.userData = { start, end };
      this.marks.add(mark);
    }
  }

  pose(frame) {
    if (!this.clip || !this.clip.frames) return;
    this.frame = frame;
    this.#set(this.bones, frame);
    for (const mark of this.marks.children) mark.material.opacity = frame >= mark.userData.start && frame < mark.userData.end ? 0.95 : 0.22;
    for (const ghost of this.ghosts) {
      const at = frame + ghost.offset;
      ghost.scene.visible = at >= 0 && at < this.clip.frames;
      if (ghost.scene.visible) this.#set(ghost.bones, at);
    }
  }

  /** Which of {figure, skeleton, path, contacts, ghosts} are seen. */
  async show(wanted) {
    this.figure.visible = true;
    for (const mesh of this.meshes) mesh.visible = !wanted.skeleton;
    this.skeleton.visible = wanted.skeleton;
    this.path.visible = wanted.path;
    this.marks.visible = wanted.contacts;
    if (wanted.ghosts && !this.ghosts.length) await this.#addGhosts();
    if (!wanted.ghosts) {
      for (const ghost of this.ghosts) this.group.remove(ghost.scene);
      this.ghosts = [];
    }
    this.pose(this.frame);
  }

  dispose() {
    this.group.traverse((node) => {
      node.geometry?.dispose();
      node.material?.dispose();
    });
    this.group.removeFromParent();
  }

  async #addGhosts() {
    this.ghosts = await Promise.all(GHOSTS.map(async (offset) => {
      const { scene } = await this.parse();
      for (const mesh of meshesOf(scene)) {
        mesh.frustumCulled = false;
        mesh.material.transparent = true;
        mesh.material.opacity = 0.2 - Math.abs(offset) / 200;
        mesh.material.depthWrite = false;
      }
      this.group.add(scene);
      return { offset, scene, bones: bonesOf(scene) };
    }));
  }

  #set(bones, frame) {
    const clip = this.clip;
    bones[0].position.set(...clip.place(frame));
    for (let joint = 0; joint < bones.length; joint++) clip.turn(frame, joint, bones[joint].quaternion);
  }
}

function meshesOf(scene) {
  const meshes = [];
  scene.traverse((node) => { if (node.isMesh) meshes.push(node); });
  return meshes;
}
