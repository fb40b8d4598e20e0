"""A motion -> a MuJoCo model of its skeleton (.xml, MJCF) and, beside it, its trajectory (.qpos.npz).

Shapes: T frames, J joints, Q numbers of a state. MuJoCo's world is Z up: our (x, y, z) is its (x, -z, y). The root has
a free joint; the frames of the bodies are those of our joints. Writing needs no MuJoCo; the extra `mujoco` brings it.

`walk.xml` comes with `walk.qpos.npz`: `qpos` (T, Q) float64, metres, quaternions wxyz, hinges in radians; `fps`;
`joints` (J,) names in the order of `qpos`; `name`. To show a frame:

    model = mujoco.MjModel.from_xml_path("walk.xml")
    data = mujoco.MjData(model)
    data.qpos[:] = numpy.load("walk.qpos.npz")["qpos"][frame]
    mujoco.mj_forward(model, data)

Format: Google DeepMind, MuJoCo documentation, "XML Reference".
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import torch
from numpy.typing import NDArray

from motionmill.formats.character import checked_clips
from motionmill.formats.figure import bone_radii
from motionmill.motion.motion import Motion
from motionmill.motion.rotations import euler_curves, matrix_to_quaternion
from motionmill.motion.skeleton import SMPL_22_NAMES, Skeleton

JOINTS = ("ball", "hinge")
_TO_Z_UP = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0))
_AXES = {"x": "1 0 0", "y": "0 1 0", "z": "0 0 1"}
_DENSITY = 985.0  # of a human body, kg / m^3
_BODY_MASS_INDEX = 22.0  # kg / m^2
_HEIGHT = 1.70 / 0.94  # of an adult, over the height of the pelvis
_HEAD_RADIUS = 0.085

# Parts of the body's mass in per cent, from D. Winter, "Biomechanics and Motor Control of Human Movement", 4th edition,
# table 4.1; the trunk's parts and the foot are shared out among their joints.
_MASSES: Mapping[str, float] = {
    "pelvis": 14.2, "spine1": 6.95, "spine2": 6.95, "spine3": 15.6, "neck": 2.0, "head": 6.1, "collar": 3.0,
    "shoulder": 2.8, "elbow": 1.6, "wrist": 0.6, "hip": 10.0, "knee": 4.65, "ankle": 1.0, "foot": 0.45,
}  # fmt: skip


def save(motion: Motion, path: str | os.PathLike[str], *, joints: str = "ball") -> None:
    """Writes the model into `path` and the trajectory beside it, as the first lines of this module say.

    Bodies have capsules along their bones that collide with the floor only. On SMPL-22 their masses are an adult's of
    that height; on other skeletons they follow from the density of flesh. The first frame is the keyframe "start".

    Args:
        motion: on any skeleton.
        path: the `.xml` file; both files appear whole or not at all.
        joints: ball (four numbers a joint, no gimbal lock) or hinge (three hinges a joint, about its X, Y and Z axis
            in this order, as policies and actuators like them).

    Raises:
        ValueError: unknown kind of joints, or values that are not finite.
    """
    path = Path(path)
    if joints not in JOINTS:
        raise ValueError(f"joints {joints!r}; expected one of {', '.join(JOINTS)}")
    checked_clips(motion, path.name)
    names = _different(motion.skeleton.names)
    order = motion.skeleton.depth_first()
    states = qpos(motion, joints=joints)
    model = _model(motion, names, joints, states[0])
    ElementTree.indent(model)
    text = ElementTree.tostring(model, encoding="unicode") + "\n"
    trajectory = path.with_suffix(".qpos.npz")
    parts = [each.with_name(f".{each.name}.part") for each in (trajectory, path)]
    with parts[0].open("wb") as file:
        np.savez_compressed(
            file,
            qpos=states,
            fps=motion.fps,
            joints=[names[joint] for joint in order],
            name=motion.name,
        )
    parts[1].write_text(text, encoding="utf-8")
    parts[0].replace(trajectory)
    parts[1].replace(path)


def qpos(motion: Motion, *, joints: str = "ball") -> NDArray[np.float64]:
    """(T, Q) states of the model: the root's place and quaternion wxyz, then what turns each other joint."""
    turn = torch.tensor(_TO_Z_UP, dtype=torch.float64)
    order = motion.skeleton.depth_first()  # as MuJoCo numbers the joints of nested bodies
    rotations = motion.rotations[:, order].double().cpu()
    place = motion.root.double().cpu() @ turn.T
    parts = [place, _wxyz((turn @ rotations[:, 0])[:, None])[:, 0]]
    if joints == "hinge":
        parts.append(euler_curves("XYZ", rotations[:, 1:]).flatten(1))
    else:
        parts.append(_wxyz(rotations[:, 1:]).flatten(1))
    return torch.cat(parts, dim=1).numpy()


def _wxyz(rotations: torch.Tensor) -> torch.Tensor:
    """(T, J, 4) quaternions without jumps of sign over time."""
    quaternions = matrix_to_quaternion(rotations).roll(1, dims=-1)
    jumps = (quaternions[1:] * quaternions[:-1]).sum(-1) < 0
    flips = torch.cat((quaternions[:1, :, 0] < 0, jumps)).cumsum(dim=0) % 2
    return quaternions * (1 - 2 * flips)[..., None]


def _model(
    motion: Motion, names: Sequence[str], joints: str, start: NDArray[np.float64]
) -> ElementTree.Element:
    root = ElementTree.Element("mujoco", model=_printable(motion.name) or "motion")
    ElementTree.SubElement(root, "compiler", angle="radian")
    ElementTree.SubElement(root, "option", timestep="0.002")
    defaults = ElementTree.SubElement(root, "default")
    ElementTree.SubElement(defaults, "joint", damping="1", armature="0.01")
    ElementTree.SubElement(
        defaults,
        "geom",
        density=f"{_DENSITY:g}",
        contype="1",
        conaffinity="0",
        condim="3",
        rgba="0.72 0.66 0.58 1",
    )
    world = ElementTree.SubElement(root, "worldbody")
    ElementTree.SubElement(world, "light", pos="0 0 4", dir="0 0 -1", directional="true")
    ElementTree.SubElement(
        world,
        "geom",
        name="floor",
        type="plane",
        size="0 0 1",
        conaffinity="1",
        rgba="0.86 0.87 0.88 1",
    )
    _add_bodies(world, motion.skeleton, names, joints)
    key = ElementTree.SubElement(root, "keyframe")
    ElementTree.SubElement(key, "key", name="start", qpos=_numbers(start))
    return root


def _add_bodies(
    world: ElementTree.Element, skeleton: Skeleton, names: Sequence[str], joints: str
) -> None:
    masses = _masses(skeleton)
    elements: list[ElementTree.Element] = []
    for joint, (name, parent) in enumerate(zip(names, skeleton.parents, strict=True)):
        if parent < 0:
            place = f"0 0 {skeleton.standing_root_height:.12g}"
            body = ElementTree.SubElement(
                world, "body", name=name, pos=place, quat=f"{0.5**0.5!r} {0.5**0.5!r} 0 0"
            )
            ElementTree.SubElement(body, "freejoint", name="root")
        else:
            place = _numbers(skeleton.offsets[joint].double().cpu().numpy())
            body = ElementTree.SubElement(elements[parent], "body", name=name, pos=place)
            if joints == "ball":
                ElementTree.SubElement(body, "joint", name=name, type="ball")
            else:
                for axis, vector in _AXES.items():
                    ElementTree.SubElement(
                        body, "joint", name=f"{name}_{axis}", type="hinge", axis=vector
                    )
        elements.append(body)
        _add_geoms(body, skeleton, joint, masses[joint])


def _add_geoms(
    body: ElementTree.Element, skeleton: Skeleton, joint: int, mass: float | None
) -> None:
    """A capsule along each bone that begins at a joint; where none does, one that goes on from the bone before it."""
    offsets = skeleton.offsets.double().cpu().numpy()
    bones = [
        (offsets[child], sum(bone_radii(skeleton, child)) / 2)
        for child in skeleton.children(joint)
        if np.linalg.norm(offsets[child]) > 1e-4
    ]
    if not bones:
        head = skeleton.names[joint].lower() == "head"
        radius = _HEAD_RADIUS if head else bone_radii(skeleton, joint)[1]
        bones = [(0.5 * offsets[joint], radius)]
    volumes = [radius**2 * (np.linalg.norm(end) + 4 / 3 * radius) for end, radius in bones]
    for (end, radius), volume in zip(bones, volumes, strict=True):
        share = {} if mass is None else {"mass": f"{mass * volume / sum(volumes):.6g}"}
        if np.linalg.norm(end) > 1e-4:
            shape = {"type": "capsule", "fromto": f"0 0 0 {_numbers(end)}"}
        else:
            shape = {"type": "sphere"}
        ElementTree.SubElement(body, "geom", {**shape, "size": f"{radius:.6g}", **share})


def _masses(skeleton: Skeleton) -> list[float | None]:
    """Mass of each joint's body, kg; None where the density has to say."""
    if skeleton.names != SMPL_22_NAMES:
        return [None] * skeleton.num_joints
    whole = _BODY_MASS_INDEX * (_HEIGHT * skeleton.standing_root_height) ** 2
    parts = [name.removeprefix("left_").removeprefix("right_") for name in skeleton.names]
    return [whole * _MASSES[part] / 100 for part in parts]


def _different(names: Sequence[str]) -> list[str]:
    """The names, with a number behind those that occurred before: MuJoCo wants each but once."""
    result: list[str] = []
    for name in map(_printable, names):
        candidate, count = name, 1
        while candidate in (*result, "root"):
            count += 1
            candidate = f"{name}_{count}"
        result.append(candidate)
    return result


def _printable(text: str) -> str:
    """The text without control characters, which XML cannot hold."""
    return "".join(letter for letter in text if letter.isprintable())


def _numbers(values: NDArray[np.float64]) -> str:
    return " ".join(f"{value:.12g}" for value in values.tolist())
