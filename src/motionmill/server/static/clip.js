// Frames of a motion: from events as they come, or from the animation of a GLB file.

const JOINTS = 22;

export class Clip {
  constructor(fps = 30) {
    this.fps = fps;
    this.frames = 0;
    this.rotations = new Float32Array(0); // frames x 22 x 4, xyzw
    this.root = new Float32Array(0); // frames x 3, metres
    this.contacts = []; // [foot, first frame, last frame + 1]
    this.physics = {};
  }

  /** Frames as an event brings them; from its start on they replace what is there. */
  take(event) {
    const rotations = new Int16Array(bytes(event.rotations)), root = new Float32Array(bytes(event.root));
    this.fps = event.fps;
    this.frames = event.start + event.frames;
    this.rotations = joined(this.rotations, 4 * JOINTS * event.start, Float32Array.from(rotations, (number) => number / 32767));
    this.root = joined(this.root, 3 * event.start, root);
  }

  /** Root position at a frame that need not be whole. */
  place(frame) {
    const low = Math.max(0, Math.min(this.frames - 1, Math.floor(frame))), high = Math.min(this.frames - 1, low + 1);
    const part = Math.min(1, Math.max(0, frame - low));
    return [0, 1, 2].map((axis) => this.root[3 * low + axis] * (1 - part) + this.root[3 * high + axis] * part);
  }

  /** Quaternion of a joint, between two frames along the shorter way. */
  turn(frame, joint, target) {
    const low = Math.max(0, Math.min(this.frames - 1, Math.floor(frame))), high = Math.min(this.frames - 1, low + 1);
    const part = Math.min(1, Math.max(0, frame - low)), a = 4 * (JOINTS * low + joint), b = 4 * (JOINTS * high + joint), q = this.rotations;
    const sign = q[a] * q[b] + q[a + 1] * q[b + 1] + q[a + 2] * q[b + 2] + q[a + 3] * q[b + 3] < 0 ? -1 : 1;
    const [x, y, z, w] = [0, 1, 2, 3].map((k) => q[a + k] * (1 - part) + sign * q[b + k] * part);
    target.set(x, y, z, w).normalize();
  }
}

/** The first animation of a parsed GLB of ours, sampled at its own frames. */
export function clipOf(gltf) {
  const animation = gltf.animations[0];
  const facts = gltf.parser.json.animations[0].extras ?? {}, extras = gltf.parser.json.asset.extras ?? {};
  const clip = new Clip(facts.fps ?? 30);
  clip.frames = facts.frames ?? Math.round(animation.duration * clip.fps) + 1;
  clip.rotations = new Float32Array(clip.frames * JOINTS * 4);
  clip.root = new Float32Array(clip.frames * 3);
  clip.contacts = extras.contacts ?? [];
  clip.physics = extras.physics ?? {};
  clip.name = facts.prompt ?? "";
  for (let frame = 0; frame < clip.frames; frame++)
    for (let joint = 0; joint < JOINTS; joint++) clip.rotations[4 * (JOINTS * frame + joint) + 3] = 1;
  const bones = bonesOf(gltf.scene).map((bone) => bone.name);
  for (const track of animation.tracks) {
    const dot = track.name.lastIndexOf("."), joint = bones.indexOf(track.name.slice(0, dot)), kind = track.name.slice(dot + 1);
    const size = kind === "position" ? 3 : 4, keys = track.times.length;
    if (joint < 0) continue;
    for (let frame = 0; frame < clip.frames; frame++) {
      const key = Math.min(frame, keys - 1);
      const value = track.values.subarray(size * key, size * (key + 1));
      if (kind === "position" && joint === 0) clip.root.set(value, 3 * frame);
      if (kind === "quaternion") clip.rotations.set(value, 4 * (JOINTS * frame + joint));
    }
  }
  return clip;
}

/** The character's own clip with its arms hanging: the file stands in a T. */
export function standing(gltf) {
  const clip = clipOf(gltf), half = 0.63; // radians
  for (const [joint, sign] of [[16, -1], [17, 1]]) clip.rotations.set([0, 0, sign * Math.sin(half), Math.cos(half)], 4 * joint);
  return clip;
}

/** The bones of a character in the order of its skin, which is SMPL's. */
export function bonesOf(scene) {
  let bones = [];
  scene.traverse((node) => { if (node.isSkinnedMesh) bones = node.skeleton.bones; });
  return bones;
}

function bytes(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;
}

function joined(known, length, more) {
  const result = new Float32Array(length + more.length);
  result.set(known.subarray(0, length));
  result.set(more, length);
  return result;
}
