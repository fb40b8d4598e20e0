"""Objects and how they are connected -> the records of an FBX 7.4 file: header, settings, definitions, takes.

FBX as written here is Y up, right-handed, in centimetres and looks along +Z.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from motionmill import __version__
from motionmill.formats.fbx_tree import (
    CREATION_TIME,
    FILE_ID,
    VERSION,
    Node,
    Value,
    node,
    properties,
)

CENTIMETRES = 100.0  # in a metre
TICKS = 46_186_158_000  # of FBX's clock in a second
ROOT = np.int64(0)  # the id of the scene itself
_TIME_MODES = {120: 1, 100: 2, 60: 3, 50: 4, 48: 5, 30: 6, 25: 10, 24: 11, 1000: 12}
_CUSTOM_TIME_MODE = 14
_CREATOR = f"MotionMill {__version__}"


@dataclass(frozen=True)
class Take:
    """One animation of a file: its name and its last moment, in ticks."""

    name: str
    end: np.int64


@dataclass
class Scene:
    """Collects the objects of a file, how they are connected and its animations."""

    objects: list[Node] = field(default_factory=list)
    connections: list[Node] = field(default_factory=list)
    takes: list[Take] = field(default_factory=list)

    def add(self, kind: str, name: str, label: str, subtype: str, *children: Node) -> np.int64:
        """Adds an object and gives its id; `label` is the class that stands behind its name."""
        identity = np.int64(1_000_000 + len(self.objects))
        self.objects.append(
            node(kind, identity, f"{_plain(name)}\0\x01{label}", subtype, children=children)
        )
        return identity

    def connect(self, child: np.int64, parent: np.int64, slot: str = "") -> None:
        """Puts an object under another, or into one of its properties."""
        values: tuple[Value, ...] = ("OP", child, parent, slot) if slot else ("OO", child, parent)
        self.connections.append(Node("C", values))

    def records(self, *, fps: float, comment: str) -> list[Node]:
        """The records of the file, in the order in which readers expect them; `comment` is shown in its properties."""
        return [
            _header([take.name for take in self.takes], comment),
            node("FileId", FILE_ID),
            node("CreationTime", CREATION_TIME),
            node("Creator", _CREATOR),
            _settings(fps, max(take.end for take in self.takes)),
            _documents(self.takes[0].name),
            node("References"),
            _definitions(self.objects),
            node("Objects", children=self.objects),
            node("Connections", children=self.connections),
            _takes(self.takes),
        ]


def _plain(name: str) -> str:
    """The name without the zero bytes that end a name in this format."""
    return name.replace("\0", "")


def _header(names: Sequence[str], comment: str) -> Node:
    stamp = [("Year", 1970), ("Month", 1), ("Day", 1), ("Hour", 10), ("Minute", 0), ("Second", 0)]
    words = {"Title": ", ".join(names), "Subject": "", "Author": "", "Keywords": "", "Revision": ""}
    about = [node(name, text) for name, text in {**words, "Comment": comment}.items()]
    info = (
        node("Type", "UserData"),
        node("Version", 100),
        node("MetaData", children=[node("Version", 100), *about]),
        properties(("Original|ApplicationName", "KString", "", "", _CREATOR)),
    )
    return node(
        "FBXHeaderExtension",
        children=[
            node("FBXHeaderVersion", 1003),
            node("FBXVersion", VERSION),
            node("EncryptionType", 0),
            node(
                "CreationTimeStamp",
                children=[
                    node("Version", 1000),
                    *(node(name, value) for name, value in stamp),
                    node("Millisecond", 0),
                ],
            ),
            node("Creator", _CREATOR),
            node("SceneInfo", "GlobalInfo\0\x01SceneInfo", "UserData", children=info),
        ],
    )


def _settings(fps: float, last: np.int64) -> Node:
    """Axes, unit (1 is a centimetre) and frame rate."""
    axes = (("UpAxis", 1), ("FrontAxis", 2), ("CoordAxis", 0), ("OriginalUpAxis", 1))
    rows: list[tuple[Value, ...]] = []
    for name, axis in axes:
        rows += [(name, "int", "Integer", "", axis), (f"{name}Sign", "int", "Integer", "", 1)]
    mode = (
        _TIME_MODES.get(round(fps), _CUSTOM_TIME_MODE) if fps == round(fps) else _CUSTOM_TIME_MODE
    )
    rows += [
        ("UnitScaleFactor", "double", "Number", "", 1.0),
        ("OriginalUnitScaleFactor", "double", "Number", "", 1.0),
        ("TimeMode", "enum", "", "", mode),
        ("TimeSpanStart", "KTime", "Time", "", np.int64(0)),
        ("TimeSpanStop", "KTime", "Time", "", last),
        ("CustomFrameRate", "double", "Number", "", float(fps)),
    ]
    return node("GlobalSettings", children=[node("Version", 1000), properties(*rows)])


def _definitions(objects: Sequence[Node]) -> Node:
    """How many objects of each kind there are, and the defaults that readers look up."""
    counts = Counter({"GlobalSettings": 1}) + Counter(item.name for item in objects)
    templates = {
        "Model": ("FbxNode", properties(("RotationOrder", "enum", "", "", 0))),
        "AnimationCurveNode": ("FbxAnimCurveNode", properties(("d", "Compound", "", ""))),
    }
    kinds = []
    for kind, count in counts.items():
        children = [node("Count", count)]
        if kind in templates:
            name, defaults = templates[kind]
            children.append(node("PropertyTemplate", name, children=[defaults]))
        kinds.append(node("ObjectType", kind, children=children))
    total = node("Count", counts.total())
    return node("Definitions", children=[node("Version", 100), total, *kinds])


def _documents(active: str) -> Node:
    settings = properties(
        ("SourceObject", "object", "", ""), ("ActiveAnimStackName", "KString", "", "", active)
    )
    scene = (settings, node("RootNode", ROOT))
    document = node("Document", np.int64(999_999), "", "Scene", children=scene)
    return node("Documents", children=[node("Count", 1), document])


def _takes(takes: Sequence[Take]) -> Node:
    spans = [
        node(
            "Take",
            take.name,
            children=[
                node("FileName", f"take_{index}.tak"),
                node("LocalTime", np.int64(0), take.end),
                node("ReferenceTime", np.int64(0), take.end),
            ],
        )
        for index, take in enumerate(takes)
    ]
    return node("Takes", children=[node("Current", takes[0].name), *spans])
