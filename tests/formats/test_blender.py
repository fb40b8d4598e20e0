"""What Blender sees of our files; slow, and only where Blender is installed (apt-get install blender)."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionmill.formats.files import save
from motionmill.motion.body import mannequin, pose
from tests.formats.oracles import check_world
from tests.formats.test_glb import wave

LOOK = """
import builtins, json, sys
import bpy, numpy
numpy.bool = bool  # Debian's Blender 3.4 is older than its Python 3.11 and NumPy: what its importers use is no more
opened = builtins.open
builtins.open = lambda file, mode="r", *rest, **named: opened(
    file, mode.replace("U", ""), *rest, **named
)
source, target, frames = sys.argv[sys.argv.index("--") + 1 :]
bpy.ops.wm.read_factory_settings(use_empty=True)
if source.endswith("fbx"):
    bpy.ops.import_scene.fbx(filepath=source)
elif source.endswith("glb"):
    bpy.context.scene.render.fps = 30
    bpy.ops.import_scene.gltf(filepath=source)
else:
    bpy.ops.import_anim.bvh(filepath=source, global_scale=0.01, update_scene_fps=True)
rig = next(item for item in bpy.data.objects if item.type == "ARMATURE")
meshes = [item for item in bpy.data.objects if item.type == "MESH" and item.parent == rig]
first = int(rig.animation_data.action.frame_range[0])
result = {"fps": bpy.context.scene.render.fps, "joints": [], "turns": []}
for frame in range(int(frames)):
    bpy.context.scene.frame_set(first + frame)
    now = rig.evaluated_get(bpy.context.evaluated_depsgraph_get())
    world = {bone.name: now.matrix_world @ bone.matrix for bone in now.pose.bones}
    result["joints"].append({name: list(matrix.translation) for name, matrix in world.items()})
    rows = {name: [list(row) for row in matrix.to_3x3()] for name, matrix in world.items()}
    result["turns"].append(rows)
for mesh in meshes:
    surface = mesh.evaluated_get(bpy.context.evaluated_depsgraph_get())
    result["vertices"] = [list(surface.matrix_world @ each.co) for each in surface.data.vertices]
rest = {bone.name: rig.matrix_world @ bone.matrix_local for bone in rig.data.bones}
result["rest"] = {name: [list(row) for row in matrix.to_3x3()] for name, matrix in rest.items()}
json.dump(result, open(target, "w"))
"""


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".fbx", ".glb", ".bvh"])
def test_blender_sees_the_motion_and_the_surface(tmp_path: Path, suffix: str) -> None:
    """Its world is Z up: our (x, y, z) is its (x, -z, y). Its bones have axes of their own: turns are from the rest."""
    motion = wave(30)
    save(motion, tmp_path / f"in{suffix}")
    seen = look(tmp_path / f"in{suffix}", 30)
    assert seen["fps"] == 30
    names = motion.skeleton.names
    to_ours = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    joints = np.array([[frame[name] for name in names] for frame in seen["joints"]]) @ to_ours.T
    turns = to_ours @ np.array([[frame[name] for name in names] for frame in seen["turns"]])
    rest = to_ours @ np.array([seen["rest"][name] for name in names])
    turns, rest = (each / np.linalg.norm(each, axis=-2, keepdims=True) for each in (turns, rest))
    check_world(motion, joints, turns @ rest.swapaxes(-1, -2))
    if suffix == ".bvh":
        return
    surface = pose(mannequin(), motion)[-1].numpy()
    vertices = np.array(seen["vertices"]) @ to_ours.T
    away = np.abs(vertices[:, None] - surface).max(axis=-1).min(axis=0)  # GLB's may be in any order
    assert away.max() < 1e-4


def look(path: Path, frames: int) -> dict[str, Any]:
    """Where Blender has the joints and the surface of a file."""
    blender = shutil.which("blender")
    if blender is None:
        pytest.skip("blender is not installed (apt-get install blender)")
    script, target = path.with_name("look.py"), path.with_name("seen.json")
    script.write_text(LOOK)
    words = [blender, "-b", "--factory-startup", "--python-exit-code", "3", "--python"]
    words += [str(script), "--", str(path), str(target), str(frames)]
    run = subprocess.run(words, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    seen: dict[str, Any] = json.loads(target.read_text())
    return seen
