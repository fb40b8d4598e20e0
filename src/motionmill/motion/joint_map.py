"""Joint maps: a YAML file that says which joints of a rig are SMPL's, where it is not told from names and bones.

left_hip: thigh.L          # SMPL joint: joint of the file
left_foot: null            # the rig has none
spine: [spine, chest]      # the joints between pelvis and neck, from below
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path

from motionmill.motion.skeleton import SMPL_22_NAMES, Skeleton

SPINE = ("spine1", "spine2", "spine3")
_KEYS = (*SMPL_22_NAMES, "spine")
_MAX_BYTES = 1 << 20

JointMap = Mapping[str, tuple[str, ...]]


def load_joint_map(path: str | os.PathLike[str]) -> JointMap:
    """Reads a joint map: SMPL-22 name, or "spine" -> names of joints (none where the rig has no such joint).

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a map from SMPL's names to names; the message says what is wrong.
    """
    import yaml

    path = Path(path)
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError(f"{path.name}: {path.stat().st_size} bytes; at most {_MAX_BYTES} are read")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8", errors="replace"))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ValueError(f"{path.name}: not YAML ({' '.join(str(error).split())[:120]})") from None
    if not isinstance(content, dict) or not content:
        raise ValueError(f"{path.name}: expected lines such as `left_hip: thigh.L`")
    result: dict[str, tuple[str, ...]] = {}
    for key, value in content.items():
        if key not in _KEYS:
            close = difflib.get_close_matches(str(key), _KEYS, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ValueError(
                f"{path.name}: {str(key)[:40]!r} is no joint of SMPL's 22{hint} (they are {', '.join(SMPL_22_NAMES)})"
            )
        names = value if isinstance(value, list) else [] if value is None else [value]
        if not all(isinstance(name, str | int) for name in names) or (
            key != "spine" and len(names) > 1
        ):
            raise ValueError(
                f"{path.name}: {key}: {value!r:.60}; expected the name of a joint, or null"
            )
        result[key] = tuple(map(str, names))
    spine = [name for joint in SPINE for name in result.pop(joint, ())]
    return result | ({"spine": tuple(spine)} if spine else {})


def applied(
    joint_map: JointMap, skeleton: Skeleton, joints: Mapping[str, int], spine: tuple[int, ...]
) -> tuple[dict[str, int], tuple[int, ...]]:
    """What was found in a skeleton, with what a map says in its place.

    Raises:
        ValueError: the map names joints that the skeleton does not have.
    """
    unknown = [name for names in joint_map.values() for name in names if name not in skeleton.names]
    if unknown:
        raise ValueError(
            f"joint map: the skeleton has no {', '.join(unknown)}; its joints are {', '.join(skeleton.names)}"
        )
    result = {name: joint for name, joint in joints.items() if name not in joint_map}
    for key, names in joint_map.items():
        if key == "spine":
            spine = tuple(skeleton.index(name) for name in names)
        elif names:
            result[key] = skeleton.index(names[0])
    return result, spine
