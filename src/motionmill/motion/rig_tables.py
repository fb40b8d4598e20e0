"""What is known of rigs: how they name their joints, where their axes point in a T-pose, how a relaxed person stands.

Data for `rigs.recognise`; the order of `NAMINGS` is the order in which they are tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SIDES = ("left", "right")


@dataclass(frozen=True)
class Naming:
    """How a family of rigs names its joints, after `_plain_names`; "?" stands for the letter or word of the side.

    Attributes:
        name: of the family.
        sides: what "?" becomes for left and right.
        joints: SMPL-22 part (pelvis, neck, head, hip, knee, ... without side) -> accepted names, the best first.
        spine: joints between pelvis and neck, from below; any of them may be missing.
        has: names that must be there too.
        lacks: names that must not be there.
    """

    name: str
    sides: tuple[str, str]
    joints: Mapping[str, tuple[str, ...]]
    spine: tuple[str, ...]
    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()


_LIMB_PARTS = ("collar", "shoulder", "elbow", "wrist", "hip", "knee", "ankle", "foot")
_MIXAMO = {
    "pelvis": ("hips",),
    "neck": ("neck",),
    "head": ("head",),
    "collar": ("?shoulder", "?shoulder1"),
    "shoulder": ("?arm",),
    "elbow": ("?forearm",),
    "wrist": ("?hand",),
    "hip": ("?upleg",),
    "knee": ("?leg",),
    "ankle": ("?foot",),
    "foot": ("?toebase", "?toe", "?toes"),
}

_MOTIONBUILDER = {
    "pelvis": ("hips",),
    "neck": ("lowerneck", "neck"),
    "head": ("head",),
    "collar": ("?collar",),
    "shoulder": ("?shoulder",),
    "elbow": ("?elbow",),
    "wrist": ("?wrist",),
    "hip": ("?hip",),
    "knee": ("?knee",),
    "ankle": ("?ankle",),
    "foot": ("?toe",),
}

NAMINGS = (
    Naming(
        "smpl",
        ("left", "right"),
        {
            **{part: (part,) for part in ("pelvis", "neck", "head")},
            **{part: (f"?{part}",) for part in _LIMB_PARTS},
        },
        ("spine1", "spine2", "spine3"),
    ),
    Naming("cgspeed", SIDES, _MIXAMO, ("lowerback", "spine", "spine1"), has=("lhipjoint",)),
    Naming("woody", SIDES, _MIXAMO, ("spine", "spine1"), has=("leftshoulder1",), lacks=("neck",)),
    Naming("uiprmd", SIDES, _MIXAMO, ("spine", "chest"), has=("chest",), lacks=("leftshoulder",)),
    Naming("mixamo", SIDES, _MIXAMO, ("spine", "chest", "spine1", "spine2", "spine3")),
    Naming(
        "unity",
        SIDES,
        {
            "pelvis": ("hips",), "neck": ("neck",), "head": ("head",), "collar": ("?shoulder",),
            "shoulder": ("?upperarm",), "elbow": ("?lowerarm",), "wrist": ("?hand",), "hip": ("?upperleg",),
            "knee": ("?lowerleg",), "ankle": ("?foot",), "foot": ("?toes",),
        },
        ("spine", "chest", "upperchest"),
    ),
    Naming(
        "asf",
        ("l", "r"),
        {
            "pelvis": ("root",), "neck": ("lowerneck",), "head": ("head",), "collar": ("?clavicle",),
            "shoulder": ("?humerus",), "elbow": ("?radius",), "wrist": ("?wrist",), "hip": ("?femur",),
            "knee": ("?tibia",), "ankle": ("?foot",), "foot": ("?toes",),
        },
        ("lowerback", "upperback", "thorax"),
    ),
    Naming(
        "game",
        ("l", "r"),
        {
            "pelvis": ("hips",), "neck": ("neck",), "head": ("head",), "collar": ("shoulder?",),
            "shoulder": ("upperarm?",), "elbow": ("lowerarm?",), "wrist": ("wrist?", "hand?"), "hip": ("upperleg?",),
            "knee": ("lowerleg?",), "ankle": ("foot?",), "foot": ("toes?",),
        },
        ("spine", "chest"),
    ),
    Naming("cgspeedmax", SIDES, _MOTIONBUILDER, ("lowerback", "chest", "chest2"), has=("lhipjoint",)),
    Naming("motionbuilder", SIDES, _MOTIONBUILDER, ("chest", "chest2", "chest3", "chest4")),
    Naming(
        "deepmimic",
        ("left", "right"),
        {
            "pelvis": ("root",), "neck": ("neck",), "shoulder": ("?shoulder",), "elbow": ("?elbow",),
            "wrist": ("?wrist",), "hip": ("?hip",), "knee": ("?knee",), "ankle": ("?ankle",),
        },
        ("chest",),
    ),
    Naming(
        "poser",
        ("l", "r"),
        {
            "pelvis": ("hip",), "neck": ("neck",), "head": ("head",), "collar": ("?collar",),
            "shoulder": ("?shldr",), "elbow": ("?forearm",), "wrist": ("?hand",), "hip": ("?thigh",),
            "knee": ("?shin",), "ankle": ("?foot",), "foot": ("?toe",),
        },
        ("abdomen", "chest"),
    ),
    Naming(
        "unreal",
        ("l", "r"),
        {
            "pelvis": ("pelvis",), "neck": ("neck01",), "head": ("head",), "collar": ("clavicle?",),
            "shoulder": ("upperarm?",), "elbow": ("lowerarm?",), "wrist": ("hand?",), "hip": ("thigh?",),
            "knee": ("calf?",), "ankle": ("foot?",), "foot": ("ball?",),
        },
        ("spine01", "spine02", "spine03"),
    ),
    Naming(
        "biped",
        ("l", "r"),
        {
            "pelvis": ("pelvis",), "neck": ("neck",), "head": ("head",), "collar": ("?clavicle",),
            "shoulder": ("?upperarm",), "elbow": ("?forearm",), "wrist": ("?hand",), "hip": ("?thigh",),
            "knee": ("?calf",), "ankle": ("?foot",), "foot": ("?toe0",),
        },
        ("spine", "spine1", "spine2", "spine3"),
    ),
    Naming(
        "rigify",
        ("l", "r"),
        {
            "pelvis": ("hips", "spine"), "neck": ("neck",), "head": ("head",), "collar": ("shoulder?",),
            "shoulder": ("upperarm?",), "elbow": ("forearm?",), "wrist": ("hand?",), "hip": ("thigh?",),
            "knee": ("shin?",), "ankle": ("foot?",), "foot": ("toe?",),
        },
        ("spine001", "spine002", "spine003"),
    ),
)  # fmt: skip

# Rigs whose bones run along one local axis: where local X, Y and Z point in a T-pose that faces +Z with the left on +X.
# Bone axes come from the offsets, twists from the hinge axes of knees and elbows over real clips.
AXES: Mapping[str, Mapping[str, str]] = {
    "bandai": {
        "pelvis": "+Y -X +Z", "trunk": "+Y +Z +X", "left_arm": "+X +Y +Z", "right_arm": "+X -Y -Z",
        "left_leg": "-Y +X +Z", "right_leg": "+Y +X -Z", "left_foot": "+Z +X +Y", "right_foot": "-Z +X -Y",
    },
    "snu_basket": {
        "pelvis": "+Y +Z +X", "trunk": "+Y +Z +X", "left_arm": "+X -Z +Y", "right_arm": "-X -Z -Y",
        "left_leg": "-Y +Z -X", "right_leg": "-Y +Z -X", "left_foot": "-Y +Z -X", "right_foot": "-Y +Z -X",
    },
    "snu_martial_arts": {
        "pelvis": "+Y -Z -X", "trunk": "+Y -Z -X", "left_arm": "+X -Z +Y", "right_arm": "+X +Z -Y",
        "left_leg": "+Y -Z -X", "right_leg": "-Y +Z -X", "left_foot": "+Y -Z -X", "right_foot": "-Y +Z -X",
    },
    "rokoko": {
        "pelvis": "+X +Y +Z", "trunk": "+Y -X +Z", "head": "+X +Y +Z", "left_arm": "+X +Y +Z", "right_arm": "-X +Y -Z",
        "left_leg": "-Y +X +Z", "right_leg": "-Y +X +Z", "left_foot": "+Z +Y -X", "right_foot": "+Z +Y -X",
    },
}  # fmt: skip

# How the parts of a rig are turned, against its T-pose, when a person stands relaxed, feet flat, head level: degrees
# about X (forward and down), Y (to the left) and Z, of the left side; the right mirrors it. Medians over the walking
# frames (feet: the resting ones) of the clips in ../shared/data, entered where they are clearly not zero.
NEUTRAL: Mapping[str, Mapping[str, tuple[float, float, float]]] = {
    "bandai": {"collar": (0, 17, 0), "foot": (39.6, 0, 0), "toe": (23, 0, 0)},
    "snu_basket": {"collar": (1, 4, -11), "hand": (-90, 0, 0)},
    "snu_martial_arts": {"collar": (3, 18, 0), "hand": (-90, 0, 0)},
    "rokoko": {"foot": (37, 0, 0), "toe": (8, 0, 0)},
    "woody": {"collar": (4, 0, -27)},
    "uiprmd": {"pelvis": (10, 0, 0), "head": (-18, 0, 0), "foot": (-10.5, 0, 5.5), "toe": (-10.5, 0, 5.5)},
    "asf": {"head": (14, 0, 0), "arm": (30, 0, 0), "hand": (30, 0, 0), "foot": (2, 0, -16), "toe": (2, 0, -16)},
    "cgspeed": {"head": (14, 0, 0), "arm": (30, 0, 0), "hand": (30, 0, 0), "foot": (2, 0, -18), "toe": (2, 0, -18)},
    "cgspeedmax": {"arm": (30, 0, 0), "hand": (30, 0, 0), "foot": (4, 0, -18), "toe": (4, 0, -18)},
    "poser": {"arm": (30, 0, 0), "hand": (30, 0, 0), "foot": (2, 0, 5)},
}  # fmt: skip
