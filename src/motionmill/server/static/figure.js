// Joint positions of SMPL's 22 joints -> a figure on a floor, drawn on a canvas without any library.

import { LEFT, PARENTS, RIGHT } from "/static/skeleton.js";

const THICK = { 3: 0.2, 6: 0.2, 9: 0.2, 12: 0.08, 15: 0.1, 1: 0.16, 2: 0.16, 13: 0.12, 14: 0.12, 4: 0.14, 5: 0.14, 7: 0.1, 8: 0.1,
  10: 0.08, 11: 0.08, 16: 0.12, 17: 0.12, 18: 0.09, 19: 0.09, 20: 0.07, 21: 0.07 };
const HEAD = 0.13;
const UNIT = 1 / 500;

/** Joint positions as the server sends them -> {fps, frames, joints: Int16Array}. */
export function decode(sent) {
  const bytes = Uint8Array.from(atob(sent.joints), (letter) => letter.charCodeAt(0));
  return { fps: sent.fps, frames: sent.frames, joints: new Int16Array(bytes.buffer) };
}

/** A view of one motion. The camera follows the figure; dragging turns it, in all views that share `camera`. */
export class Figure {
  constructor(canvas, camera) {
    this.canvas = canvas;
    this.camera = camera;
    this.motion = null;
    this.time = 0;
    canvas.addEventListener("pointermove", (event) => {
      if (event.buttons) {
        camera.yaw += event.movementX / 120;
        camera.changed();
      }
    });
  }

  /** Draw the moment `seconds`; a motion that is shorter stays at its end. */
  draw(seconds = this.time) {
    this.time = seconds;
    const { canvas, motion } = this;
    const ratio = window.devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * ratio), height = Math.round(canvas.clientHeight * ratio);
    if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
    const pen = canvas.getContext("2d");
    const style = getComputedStyle(canvas);
    const colour = (name) => style.getPropertyValue(name).trim();
    pen.clearRect(0, 0, width, height);
    if (!motion) return;
    const frame = Math.max(0, Math.min(motion.frames - 1, Math.floor(seconds * motion.fps)));
    const joint = (j) => [0, 1, 2].map((axis) => motion.joints[66 * frame + 3 * j + axis] * UNIT);
    const [rootX, , rootZ] = joint(0);
    const see = this.camera.look(rootX, rootZ, width, height);
    this.#floor(pen, see, rootX, rootZ, colour("--grid"), ratio);
    const points = PARENTS.map((_, j) => joint(j));
    pen.lineCap = "round";
    pen.fillStyle = pen.strokeStyle = colour("--shadow");
    for (let j = 1; j < 22; j++) this.#bone(pen, see, flat(points[PARENTS[j]]), flat(points[j]), THICK[j] * 0.8);
    const bones = [];
    for (let j = 1; j < 22; j++) bones.push([see(points[j])[2] + see(points[PARENTS[j]])[2], j]);
    bones.sort((a, b) => b[0] - a[0]);
    for (const [, j] of bones) {
      pen.strokeStyle = colour(LEFT.has(j) ? "--left" : RIGHT.has(j) ? "--right" : "--body");
      this.#bone(pen, see, points[PARENTS[j]], points[j], THICK[j]);
    }
    const [x, y, , scale] = see([points[15][0], points[15][1] + 0.06, points[15][2]]);
    pen.fillStyle = colour("--body");
    pen.beginPath();
    pen.ellipse(x, y, HEAD * 0.8 * scale, HEAD * scale, 0, 0, 7);
    pen.fill();
  }

  #bone(pen, see, from, to, thickness) {
    const a = see(from), b = see(to);
    pen.lineWidth = thickness * (a[3] + b[3]) / 2;
    pen.beginPath();
    pen.moveTo(a[0], a[1]);
    pen.lineTo(b[0], b[1]);
    pen.stroke();
  }

  #floor(pen, see, x, z, colour, ratio) {
    pen.strokeStyle = colour;
    pen.lineWidth = ratio;
    const reach = 3, startX = Math.round(2 * x) / 2, startZ = Math.round(2 * z) / 2;
    for (let step = -reach; step <= reach; step += 0.5) {
      for (const [from, to] of [
        [[startX + step, 0, startZ - reach], [startX + step, 0, startZ + reach]],
        [[startX - reach, 0, startZ + step], [startX + reach, 0, startZ + step]],
      ]) {
        const a = see(from), b = see(to);
        pen.beginPath();
        pen.moveTo(a[0], a[1]);
        pen.lineTo(b[0], b[1]);
        pen.stroke();
      }
    }
  }
}

/** The camera that all views of a page share: it stands to the side of the figure, a little above. */
export class Camera {
  constructor(changed) {
    this.yaw = 0.6;
    this.changed = changed;
  }

  /** World point -> [x, y, depth, pixels a metre] on a canvas that looks at the figure at (x, z). */
  look(rootX, rootZ, width, height) {
    const cos = Math.cos(this.yaw), sin = Math.sin(this.yaw);
    const tilt = 0.22, distance = 3.9, focal = 1.55 * Math.min(width, height);
    return ([x, y, z]) => {
      const sideways = cos * (x - rootX) - sin * (z - rootZ);
      const towards = sin * (x - rootX) + cos * (z - rootZ);
      const up = y - 0.95;
      const depth = distance - (Math.cos(tilt) * towards + Math.sin(tilt) * up);
      const rise = Math.cos(tilt) * up - Math.sin(tilt) * towards;
      const scale = focal / Math.max(0.5, depth);
      return [width / 2 + sideways * scale, height * 0.52 - rise * scale, depth, scale];
    };
  }
}

function flat(point) {
  return [point[0], 0.005, point[2]];
}
