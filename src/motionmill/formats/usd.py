"""A motion -> OpenUSD (.usda text, .usdc binary, .usd, .usdz package): a UsdSkel character with its animation.

Shapes: T frames, J joints, V vertices, F triangles. The stage is Y up, in metres, and looks along +Z, as our world is;
its time codes are frames, from 0. Schemas: OpenUSD, "UsdSkel: Schema and Object Model".
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from motionmill import __version__
from motionmill.extras import require
from motionmill.formats.character import character, checked_clips, copyright_line
from motionmill.formats.joint_names import joint_names
from motionmill.motion.body import Body
from motionmill.motion.motion import Motion
from motionmill.motion.rotations import matrix_to_quaternion
from motionmill.motion.skeleton import Skeleton

SUFFIXES = (".usda", ".usdc", ".usd", ".usdz")


def save(
    motion: Motion, path: str | os.PathLike[str], *, names: str = "smpl", licence: str = ""
) -> None:
    """Writes a Motion as a USD stage: on the mannequin, or as a stick figure where it is not SMPL-22.

    `/Character` (SkelRoot) holds `Skeleton`, bound to `Animation`, and `Mannequin`. Rotations and translations have a
    sample at every frame.

    Args:
        motion: on any skeleton.
        path: the file; the suffix says which kind. It appears whole or not at all.
        names: what the joints are called: smpl (as they are), mixamo, unreal or unity. What cannot be in a path of USD
            (the colon of Mixamo, spaces) becomes an underscore.
        licence: what holds for the motion; goes into the layer's data beside the character's own licence.

    Raises:
        ValueError: unknown suffix or names, or values that are not finite.
        MissingExtraError: usd-core is not installed.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(
            f"{path.name}: not a name for USD; expected one of {', '.join(SUFFIXES)} at its end"
        )
    require("pxr", extra="usd")
    checked_clips(motion, path.name)
    paths = _joint_paths(motion.skeleton, joint_names(motion.skeleton, names))
    with tempfile.TemporaryDirectory(prefix=".motionmill-", dir=path.parent) as folder:
        packed = path.suffix.lower() == ".usdz"
        layer = Path(folder) / f"{path.stem}{'.usdc' if packed else path.suffix.lower()}"
        _write_stage(motion, layer, paths, licence)
        if packed:
            layer = _package(layer)
        layer.replace(path)


def _write_stage(motion: Motion, path: Path, paths: Sequence[str], licence: str) -> None:
    from pxr import Sdf, Usd, UsdGeom, UsdSkel

    layer = Sdf.Layer.CreateNew(str(path))
    layer.documentation = motion.name
    layer.customLayerData = {
        "creator": f"MotionMill {__version__}",
        "copyright": copyright_line(licence),
    }
    stage = Usd.Stage.Open(layer)
    UsdGeom.SetStageMetersPerUnit(stage, UsdGeom.LinearUnits.meters)
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    stage.SetTimeCodesPerSecond(motion.fps)
    stage.SetFramesPerSecond(motion.fps)
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(len(motion) - 1)
    root = UsdSkel.Root.Define(stage, "/Character")
    stage.SetDefaultPrim(root.GetPrim())
    Usd.ModelAPI(root).SetKind("component")
    body = character(motion.skeleton)
    skeleton = _define_skeleton(stage, body, paths)
    animation = _define_animation(stage, motion, paths)
    UsdSkel.BindingAPI.Apply(skeleton.GetPrim()).CreateAnimationSourceRel().SetTargets(
        [animation.GetPath()]
    )
    mesh = _define_mesh(stage, body)
    UsdSkel.BindingAPI.Apply(mesh.GetPrim()).CreateSkeletonRel().SetTargets([skeleton.GetPath()])
    _bind(mesh, body)
    root.CreateExtentAttr(_extent(motion))
    stage.Save()


def _define_skeleton(stage: Any, body: Body, paths: Sequence[str]) -> Any:
    """The joints in the rest pose: bind transforms in the world, rest transforms from the parent."""
    from pxr import Gf, UsdSkel, Vt

    world = body.rest_joints.double().tolist()
    local = [world[0], *body.skeleton.offsets.double().tolist()[1:]]
    skeleton = UsdSkel.Skeleton.Define(stage, "/Character/Skeleton")
    skeleton.CreateJointsAttr(Vt.TokenArray(list(paths)))
    for create, places in (
        (skeleton.CreateBindTransformsAttr, world),
        (skeleton.CreateRestTransformsAttr, local),
    ):
        create(
            Vt.Matrix4dArray([Gf.Matrix4d(1).SetTranslate(Gf.Vec3d(*place)) for place in places])
        )
    return skeleton


def _define_animation(stage: Any, motion: Motion, paths: Sequence[str]) -> Any:
    from pxr import Usd, UsdSkel, Vt

    animation = UsdSkel.Animation.Define(stage, "/Character/Animation")
    animation.CreateJointsAttr(Vt.TokenArray(list(paths)))
    turns = matrix_to_quaternion(motion.rotations.double().cpu()).float().numpy()
    places = motion.skeleton.offsets.float().cpu().numpy()[None].repeat(len(motion), axis=0)
    places[:, 0] = motion.root.float().cpu().numpy()
    translations, rotations = animation.CreateTranslationsAttr(), animation.CreateRotationsAttr()
    for frame in range(len(motion)):
        code = Usd.TimeCode(frame)
        translations.Set(Vt.Vec3fArray.FromNumpy(places[frame]), code)
        rotations.Set(Vt.QuatfArray.FromNumpy(turns[frame]), code)
    animation.CreateScalesAttr(
        Vt.Vec3hArray.FromNumpy(np.ones((motion.skeleton.num_joints, 3), np.float16))
    )
    return animation


def _define_mesh(stage: Any, body: Body) -> Any:
    from pxr import UsdGeom, Vt

    points = body.vertices.numpy()
    mesh = UsdGeom.Mesh.Define(stage, "/Character/Mannequin")
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(points))
    mesh.CreateExtentAttr(
        Vt.Vec3fArray.FromNumpy(np.stack((points.min(axis=0), points.max(axis=0))))
    )
    mesh.CreateFaceVertexCountsAttr(
        Vt.IntArray.FromNumpy(np.full(len(body.triangles), 3, np.int32))
    )
    mesh.CreateFaceVertexIndicesAttr(
        Vt.IntArray.FromNumpy(body.triangles.numpy().astype(np.int32).ravel())
    )
    mesh.CreateNormalsAttr(Vt.Vec3fArray.FromNumpy(body.normals.numpy()))
    mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    colour = mesh.CreateDisplayColorPrimvar(UsdGeom.Tokens.vertex)
    colour.Set(Vt.Vec3fArray.FromNumpy(body.colours.float().numpy()))
    return mesh


def _bind(mesh: Any, body: Body) -> None:
    """Which joints move each vertex, and how much."""
    from pxr import Gf, UsdSkel, Vt

    binding = UsdSkel.BindingAPI(mesh)
    influences = body.joint_weights.shape[1]
    weights = body.joint_weights.numpy()
    joints = np.where(weights > 0, body.joint_indices.numpy(), 0).astype(np.int32)
    binding.CreateJointIndicesPrimvar(False, influences).Set(Vt.IntArray.FromNumpy(joints.ravel()))
    binding.CreateJointWeightsPrimvar(False, influences).Set(
        Vt.FloatArray.FromNumpy(weights.ravel())
    )
    binding.CreateGeomBindTransformAttr(Gf.Matrix4d(1))


def _extent(motion: Motion) -> Any:
    """The box around the person in all frames: the joints and flesh around them."""
    from pxr import Vt

    joints = motion.joints().reshape(-1, 3).float().cpu().numpy()
    flesh = np.float32(0.25)
    return Vt.Vec3fArray.FromNumpy(
        np.stack((joints.min(axis=0) - flesh, joints.max(axis=0) + flesh))
    )


def _package(layer: Path) -> Path:
    from pxr import Sdf, UsdUtils

    package = layer.with_suffix(".usdz")
    if not UsdUtils.CreateNewUsdzPackage(Sdf.AssetPath(str(layer)), str(package)):
        raise ValueError(f"{package.name}: USD could not pack the stage")
    return package


def _joint_paths(skeleton: Skeleton, names: Sequence[str]) -> list[str]:
    """Where each joint is in the tree, as "pelvis/spine1/spine2"; siblings with one name get a number."""
    paths: list[str] = []
    for name, parent in zip(names, skeleton.parents, strict=True):
        word = re.sub(r"\W", "_", name, flags=re.ASCII)
        word = word if re.match(r"[A-Za-z_]", word) else f"_{word}"
        above = f"{paths[parent]}/" if parent >= 0 else ""
        candidate, count = f"{above}{word}", 1
        while candidate in paths:
            count += 1
            candidate = f"{above}{word}_{count}"
        paths.append(candidate)
    return paths
