"""Motions <-> binary glTF 2.0 (.glb): a skinned character with one animation for each motion.

Shapes: T frames, J joints, V vertices. glTF is Y up, right-handed, in metres and looks along +Z, as our world is.
Format: Khronos Group, "glTF 2.0 Specification", sections 3.7 (skins) and 3.11 (animations).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionmill import __version__
from motionmill.formats.character import character, checked_clips, clip_names, copyright_line
from motionmill.formats.glb_scene import Scene
from motionmill.formats.gltf import ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER, Reader, Writer
from motionmill.formats.joint_names import joint_names
from motionmill.motion.body import Body
from motionmill.motion.motion import Motion
from motionmill.motion.rotations import matrix_to_quaternion

_CONSTANT = 1e-7  # a track that moves less is one key
_MAX_BYTES = 1 << 30


def save(
    motions: Motion | Sequence[Motion],
    path: str | os.PathLike[str],
    *,
    names: str = "smpl",
    licence: str = "",
    extras: Mapping[str, Any] | None = None,
) -> None:
    """Writes motions of one skeleton as a GLB file: on the mannequin, or as a stick figure where it is not SMPL-22.

    The nodes are the joints in the rest pose (T-pose for ours); each motion is one animation, named as the motion.

    Args:
        motions: one, or several on the same skeleton.
        path: the file; it appears whole or not at all.
        names: what the joints are called: smpl (as they are), mixamo, unreal or unity.
        licence: what holds for the motions; goes into `asset.copyright` beside the character's own licence.
        extras: more facts for `asset.extras`, JSON values.

    Raises:
        ValueError: no motions, different skeletons, unknown names, or values that are not finite.
    """
    path = Path(path)
    clips = checked_clips(motions, path.name)
    skeleton = clips[0].skeleton
    body = character(skeleton)
    writer = Writer()
    document: dict[str, Any] = {
        "asset": _asset(clips, licence, extras or {}),
        "scene": 0,
        "scenes": [{"name": "Scene", "nodes": [skeleton.num_joints, 0]}],
        "nodes": _nodes(body, joint_names(skeleton, names)),
        "meshes": [{"name": "Mannequin", "primitives": [_primitive(body, writer)]}],
        "materials": [
            {
                "name": "Mannequin",
                "pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.7},
            }
        ],
        "skins": [_skin(body, writer)],
        "animations": _animations(clips, writer),
    }
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_bytes(writer.file(document))
    temporary.replace(path)


def load(path: str | os.PathLike[str], *, clip: int = 0, fps: float | None = None) -> Motion:
    """Reads the skeleton animation of a GLB file, ours or another program's.

    Joints are those of the first skin, or, without one, all nodes below the animated ones' common root. Rotations are
    taken relative to the pose that the nodes have without animation, so that the zero pose of the skeleton is that pose
    in the world. Scales are applied to the positions; moving offsets of joints other than the root are not kept.
    Tangents of cubic splines are not used.

    Args:
        path: the file.
        clip: which of its animations.
        fps: frames per second of the result; by default those of the file where it is ours, else 30.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a GLB file, damaged, no such animation, or no skeleton in it.
    """
    path = Path(path)
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError(f"{path.name}: {path.stat().st_size} bytes; at most {_MAX_BYTES} are read")
    reader = Reader(path.read_bytes(), path.name)
    return Scene(reader, path.name).motion(clip, fps=fps)


def _asset(clips: Sequence[Motion], licence: str, extras: Mapping[str, Any]) -> dict[str, Any]:
    facts = {
        "prompts": [clip.name for clip in clips],
        "fps": clips[0].fps,
        "licence": licence,
        "foot_joint_height": clips[0].skeleton.foot_joint_height,
    }
    return {
        "version": "2.0",
        "generator": f"MotionMill {__version__}",
        "copyright": copyright_line(licence),
        "extras": facts | dict(extras),
    }


def _nodes(body: Body, names: Sequence[str]) -> list[dict[str, Any]]:
    """A node for every joint in the rest pose, then the one that holds the mesh."""
    skeleton = body.skeleton
    places = skeleton.offsets.double().clone()
    places[0] = body.rest_joints[0]
    nodes: list[dict[str, Any]] = []
    for joint, name in enumerate(names):
        node: dict[str, Any] = {"name": name, "translation": places[joint].tolist()}
        if children := skeleton.children(joint):
            node["children"] = children
        nodes.append(node)
    return [*nodes, {"name": "Mannequin", "mesh": 0, "skin": 0}]


def _primitive(body: Body, writer: Writer) -> dict[str, Any]:
    weights = body.joint_weights.numpy()
    joints = np.where(weights > 0, body.joint_indices.numpy(), 0)
    small = np.uint8 if body.skeleton.num_joints <= 256 else np.uint16
    index = np.uint16 if len(body.vertices) < 65_535 else np.uint32
    colours = np.ones((len(weights), 4), np.float32)
    colours[:, :3] = body.colours.numpy()
    return {
        "attributes": {
            "POSITION": writer.add(body.vertices.numpy(), target=ARRAY_BUFFER, bounds=True),
            "NORMAL": writer.add(body.normals.numpy(), target=ARRAY_BUFFER),
            "COLOR_0": writer.add(
                np.rint(colours * 255).astype(np.uint8), target=ARRAY_BUFFER, normalised=True
            ),
            "JOINTS_0": writer.add(joints.astype(small), target=ARRAY_BUFFER),
            "WEIGHTS_0": writer.add(weights, target=ARRAY_BUFFER),
        },
        "indices": writer.add(
            body.triangles.numpy().astype(index).ravel(), target=ELEMENT_ARRAY_BUFFER
        ),
        "material": 0,
    }


def _skin(body: Body, writer: Writer) -> dict[str, Any]:
    """Joints and their inverse bind matrices; those are stored by columns."""
    matrices = np.tile(np.eye(4, dtype=np.float32), (body.skeleton.num_joints, 1, 1))
    matrices[:, 3, :3] = -body.rest_joints.numpy()
    return {
        "name": "Skeleton",
        "joints": list(range(body.skeleton.num_joints)),
        "skeleton": 0,
        "inverseBindMatrices": writer.add(matrices.reshape(-1, 16)),
    }


def _animations(clips: Sequence[Motion], writer: Writer) -> list[dict[str, Any]]:
    """One animation for each clip. A joint that keeps its rest pose in all of them gets no track, one that keeps
    another rotation throughout a clip gets one key there."""
    rotations = [_continuous_quaternions(clip) for clip in clips]
    still = np.array([0.0, 0.0, 0.0, 1.0])
    tracked = np.any(
        [np.abs(each - still).max(axis=(0, 2)) > _CONSTANT for each in rotations], axis=0
    )
    names = clip_names(clips)
    animations = []
    for clip, quaternions, name in zip(clips, rotations, names, strict=True):
        times = (np.arange(len(clip)) / clip.fps).astype(np.float32)
        all_keys = writer.add(times, bounds=True)
        first_key = all_keys
        channels = [(0, "translation", all_keys, writer.add(clip.root.float().cpu().numpy()))]
        for joint in np.flatnonzero(tracked).tolist():
            track, keys = quaternions[:, joint].astype(np.float32), all_keys
            if len(clip) > 1 and np.abs(track - track[0]).max() <= _CONSTANT:
                if first_key == all_keys:
                    first_key = writer.add(times[:1], bounds=True)
                track, keys = track[:1], first_key
            channels.append((joint, "rotation", keys, writer.add(track)))
        animations.append(
            {
                "name": name,
                "channels": [
                    {"sampler": index, "target": {"node": joint, "path": kind}}
                    for index, (joint, kind, _, _) in enumerate(channels)
                ],
                "samplers": [
                    {"input": keys, "output": values, "interpolation": "LINEAR"}
                    for _, _, keys, values in channels
                ],
                "extras": {"prompt": clip.name, "fps": clip.fps, "frames": len(clip)},
            }
        )
    return animations


def _continuous_quaternions(clip: Motion) -> NDArray[np.float64]:
    """(T, J, 4) unit quaternions xyzw without jumps of sign; the first has w >= 0."""
    quaternions = matrix_to_quaternion(clip.rotations.double().cpu()).numpy()
    turned = (quaternions[1:] * quaternions[:-1]).sum(axis=-1) < 0
    start = quaternions[:1, :, 3] < 0
    flips = np.concatenate((start, turned)).cumsum(axis=0) % 2
    return quaternions * (1 - 2 * flips)[..., None]
