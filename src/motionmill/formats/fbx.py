"""Motions -> binary FBX 7.4 (.fbx): a skinned character with one animation stack for each motion.

Shapes: T frames, J joints, V vertices, F triangles. FBX as written here is Y up, right-handed, in centimetres and looks
along +Z, which is what Maya, MotionBuilder, Unity and Unreal expect; the joints are `LimbNode`s in the rest pose.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from motionmill.formats.character import character, checked_clips, clip_names, copyright_line
from motionmill.formats.fbx_document import CENTIMETRES, ROOT, TICKS, Scene, Take
from motionmill.formats.fbx_tree import Node, encode, node, properties
from motionmill.formats.joint_names import joint_names
from motionmill.motion.body import BARE, SUIT, Body
from motionmill.motion.motion import Motion
from motionmill.motion.rotations import euler_curves

_LINEAR = 0x4  # interpolation of a key
_AXES = ("X", "Y", "Z")


def save(
    motions: Motion | Sequence[Motion],
    path: str | os.PathLike[str],
    *,
    names: str = "smpl",
    licence: str = "",
) -> None:
    """Writes motions of one skeleton as an FBX file: on the mannequin, or as a stick figure where it is not SMPL-22.

    Every joint has rotation curves and the root translation curves, with a key at every frame; rotations are Euler
    angles XYZ that do not jump between keys.

    Args:
        motions: one, or several on the same skeleton.
        path: the file; it appears whole or not at all.
        names: what the joints are called: smpl (as they are), mixamo, unreal or unity.
        licence: what holds for the motions; goes into the scene's comment beside the character's own licence.

    Raises:
        ValueError: no motions, different skeletons, unknown names, or values that are not finite.
    """
    path = Path(path)
    clips = checked_clips(motions, path.name)
    scene = Scene()
    joints = _add_skeleton(scene, clips[0], joint_names(clips[0].skeleton, names))
    for clip, name in zip(clips, clip_names(clips), strict=True):
        _add_animation(scene, clip, name, joints)
    data = encode(scene.records(fps=clips[0].fps, comment=copyright_line(licence)))
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_bytes(data)
    temporary.replace(path)


def _add_skeleton(scene: Scene, clip: Motion, names: Sequence[str]) -> list[np.int64]:
    """The joints in the rest pose and the surface that they move; gives the joints' ids."""
    body = character(clip.skeleton)
    places = CENTIMETRES * clip.skeleton.offsets.double().numpy()
    rest = CENTIMETRES * body.rest_joints.double().numpy()
    places = np.concatenate((rest[:1], places[1:]))
    joints: list[np.int64] = []
    for joint, (name, parent) in enumerate(zip(names, clip.skeleton.parents, strict=True)):
        model = scene.add("Model", name, "Model", "LimbNode", *_model(places[joint]))
        size = properties(("Size", "double", "Number", "", 1.0))
        limb = (size, node("TypeFlags", "Skeleton"))
        attribute = scene.add("NodeAttribute", name, "NodeAttribute", "LimbNode", *limb)
        scene.connect(attribute, model)
        scene.connect(model, joints[parent] if parent >= 0 else ROOT)
        joints.append(model)
    mesh = _add_mesh(scene, body)
    matrices = np.tile(np.eye(4), (len(rest), 1, 1))
    matrices[:, 3, :3] = rest  # stored by columns
    _add_skin(scene, body, mesh[1], joints, names, matrices)
    poses = [(mesh[0], np.eye(4)), *zip(joints, matrices, strict=True)]
    scene.add("Pose", "BindPose", "Pose", "BindPose", *_bind_pose(poses))
    return joints


def _model(place: NDArray[np.float64]) -> tuple[Node, ...]:
    settings = properties(
        ("RotationActive", "bool", "", "", 1),
        ("InheritType", "enum", "", "", 1),
        ("ScalingMax", "Vector3D", "Vector", "", 0.0, 0.0, 0.0),
        ("DefaultAttributeIndex", "int", "Integer", "", 0),
        ("RotationOrder", "enum", "", "", 0),
        ("Lcl Translation", "Lcl Translation", "", "A", *place.tolist()),
        ("Lcl Rotation", "Lcl Rotation", "", "A", 0.0, 0.0, 0.0),
        ("Lcl Scaling", "Lcl Scaling", "", "A", 1.0, 1.0, 1.0),
    )
    return node("Version", 232), settings, node("Shading", True), node("Culling", "CullingOff")


def _add_mesh(scene: Scene, body: Body) -> tuple[np.int64, np.int64]:
    """The surface in two materials; gives the ids of its node and of its geometry."""
    model = scene.add("Model", "Mannequin", "Model", "Mesh", *_model(np.zeros(3)))
    geometry = scene.add("Geometry", "Mannequin", "Geometry", "Mesh", *_geometry(body))
    scene.connect(model, ROOT)
    scene.connect(geometry, model)
    for name, colour in (("Bare", BARE), ("Suit", SUIT)):
        shown = [float(part) for part in np.asarray(colour) ** (1 / 2.2)]  # colours are sRGB here
        settings = properties(
            ("DiffuseColor", "Color", "", "A", *shown),
            ("Diffuse", "Vector3D", "Vector", "", *shown),
            ("Emissive", "Vector3D", "Vector", "", 0.0, 0.0, 0.0),
            ("Opacity", "double", "Number", "", 1.0),
        )
        facts = (node("Version", 102), node("ShadingModel", "lambert"), node("MultiLayer", 0))
        scene.connect(scene.add("Material", name, "Material", "", *facts, settings), model)
    return model, geometry


def _geometry(body: Body) -> tuple[Node, ...]:
    triangles = body.triangles.numpy().astype(np.int32)
    ends = triangles.copy()
    ends[:, 2] = ~ends[:, 2]  # the last corner of a polygon
    suit = (body.tone[body.triangles].mean(dim=1) > 0.5).numpy().astype(np.int32)
    normals = node(
        "LayerElementNormal",
        0,
        children=[
            node("Version", 101),
            node("Name", ""),
            node("MappingInformationType", "ByPolygonVertex"),
            node("ReferenceInformationType", "IndexToDirect"),
            node("Normals", body.normals.double().numpy().ravel()),
            node("NormalsIndex", triangles.ravel()),
        ],
    )
    materials = node(
        "LayerElementMaterial",
        0,
        children=[
            node("Version", 101),
            node("Name", ""),
            node("MappingInformationType", "ByPolygon"),
            node("ReferenceInformationType", "IndexToDirect"),
            node("Materials", suit),
        ],
    )
    elements = [
        node("LayerElement", children=[node("Type", kind), node("TypedIndex", 0)])
        for kind in ("LayerElementNormal", "LayerElementMaterial")
    ]
    return (
        node("GeometryVersion", 124),
        node("Vertices", CENTIMETRES * body.vertices.double().numpy().ravel()),
        node("PolygonVertexIndex", ends.ravel()),
        normals,
        materials,
        node("Layer", 0, children=[node("Version", 100), *elements]),
    )


def _add_skin(
    scene: Scene,
    body: Body,
    geometry: np.int64,
    joints: Sequence[np.int64],
    names: Sequence[str],
    matrices: NDArray[np.float64],
) -> None:
    """For each joint that moves something a cluster: vertices, weights, and where joint and surface are at rest."""
    facts = (node("Version", 101), node("Link_DeformAcuracy", 50.0), node("SkinningType", "Linear"))
    skin = scene.add("Deformer", "Mannequin", "Deformer", "Skin", *facts)
    scene.connect(skin, geometry)
    weights = torch.zeros(len(body.vertices), len(joints), dtype=torch.float64)
    weights.scatter_add_(1, body.joint_indices, body.joint_weights.double())
    for joint, name, matrix, column in zip(joints, names, matrices, weights.numpy().T, strict=True):
        moved = np.flatnonzero(column > 0)
        if not len(moved):
            continue
        cluster = scene.add(
            "Deformer",
            name,
            "SubDeformer",
            "Cluster",
            node("Version", 100),
            node("UserData", "", ""),
            node("Indexes", moved.astype(np.int32)),
            node("Weights", column[moved]),
            node("Transform", np.linalg.inv(matrix).ravel()),
            node("TransformLink", matrix.ravel()),
        )
        scene.connect(cluster, skin)
        scene.connect(joint, cluster)


def _bind_pose(poses: Sequence[tuple[np.int64, NDArray[np.float64]]]) -> tuple[Node, ...]:
    nodes = [
        node("PoseNode", children=[node("Node", identity), node("Matrix", matrix.ravel())])
        for identity, matrix in poses
    ]
    return node("Type", "BindPose"), node("Version", 100), node("NbPoseNodes", len(nodes)), *nodes


def _add_animation(scene: Scene, clip: Motion, name: str, joints: Sequence[np.int64]) -> None:
    """A stack of one layer with the curves of one motion."""
    times = _times(clip)
    span = properties(
        *((f"{kind}Start", "KTime", "Time", "", np.int64(0)) for kind in ("Local", "Reference")),
        *((f"{kind}Stop", "KTime", "Time", "", times[-1]) for kind in ("Local", "Reference")),
    )
    stack = scene.add("AnimationStack", name, "AnimStack", "", span)
    weight = properties(("Weight", "Number", "", "A", 100.0))
    layer = scene.add("AnimationLayer", "BaseLayer", "AnimLayer", "", weight)
    scene.connect(layer, stack)
    scene.takes.append(Take(name, times[-1]))
    place = CENTIMETRES * clip.root.double().cpu().numpy()
    _add_curves(scene, layer, joints[0], "Lcl Translation", times, place)
    turned = torch.rad2deg(euler_curves("ZYX", clip.rotations.double().cpu())).flip(-1)
    for joint, identity in enumerate(joints):
        _add_curves(scene, layer, identity, "Lcl Rotation", times, turned[:, joint].numpy())


def _add_curves(
    scene: Scene,
    layer: np.int64,
    model: np.int64,
    slot: str,
    times: NDArray[np.int64],
    values: NDArray[np.float64],
) -> None:
    """Three curves (T, 3) of a property of a node."""
    first = values[0].tolist()
    start = properties(
        *((f"d|{axis}", "Number", "", "A", value) for axis, value in zip(_AXES, first, strict=True))
    )
    curves = scene.add("AnimationCurveNode", slot[4], "AnimCurveNode", "", start)
    scene.connect(curves, layer)
    scene.connect(curves, model, slot)
    for axis, column in zip(_AXES, values.T, strict=True):
        curve = scene.add(
            "AnimationCurve",
            "",
            "AnimCurve",
            "",
            node("Default", float(column[0])),
            node("KeyVer", 4008),
            node("KeyTime", times),
            node("KeyValueFloat", column.astype(np.float32)),
            node("KeyAttrFlags", np.array([_LINEAR], np.int32)),
            node("KeyAttrDataFloat", np.zeros(4, np.float32)),
            node("KeyAttrRefCount", np.array([len(times)], np.int32)),
        )
        scene.connect(curve, curves, f"d|{axis}")


def _times(clip: Motion) -> NDArray[np.int64]:
    """(T,) ticks of the frames."""
    return np.rint(np.arange(len(clip)) * (TICKS / clip.fps)).astype(np.int64)
