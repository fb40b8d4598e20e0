"""Imports go in one direction only; the order is in CONTRIBUTING.md."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "src/motionmill"

# Each layer and the layers next to it that it may import; what those may import it may import too.
NEXT: dict[str, set[str]] = {
    "motion": set(),
    "formats": {"motion"},
    "video": {"formats"},
    "data": {"video"},
    "training": {"motion"},
    "tokenizer": {"data", "training"},
    "generator": {"tokenizer"},
    "pipeline": {"generator"},
    "batch": {"pipeline"},
    "evaluation": {"pipeline"},
    "server": {"evaluation"},
    "commands": {"server", "batch"},
    "cli": {"commands"},
}
FOR_EVERYONE = {"config", "extras", "chat"}
ANYTHING = {"__init__", "__main__"}


def allowed(layer: str) -> set[str]:
    """The layers that a layer may import, itself included."""
    reached, waiting = set[str](), [layer]
    while waiting:
        current = waiting.pop()
        if current not in reached:
            reached.add(current)
            waiting.extend(NEXT[current])
    return reached | FOR_EVERYONE


def imported_names(tree: ast.AST, package: str) -> Iterator[tuple[int, str]]:
    """Line and dotted name of every import, at any depth; relative ones are resolved against `package`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) - node.level + 1]
            source = ".".join([*(parts if node.level else []), *filter(None, [node.module])])
            yield from ((node.lineno, f"{source}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            for argument in node.args[:1]:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield node.lineno, argument.value


def violations(root: Path) -> list[str]:
    """Every import of ours under the folder `root` (the package) that goes against the direction."""
    found = []
    for path in sorted(root.rglob("*.py")):
        place = path.relative_to(root)
        layer = place.parts[0].removesuffix(".py")
        if layer in ANYTHING:
            continue
        if layer not in NEXT and layer not in FOR_EVERYONE:
            found.append(f"{place}: {layer!r} is no layer")
            continue
        may = allowed(layer) if layer in NEXT else {layer}
        package = ".".join(("motionmill", *place.parts[:-1]))
        for line, name in imported_names(ast.parse(path.read_text(encoding="utf-8")), package):
            top, _, rest = name.partition(".")
            target = rest.split(".")[0]
            if top == "motionmill" and target not in {*may, "__version__"}:
                found.append(f"{place}:{line}: {layer} must not import {name}")
    return found


def test_imports_go_in_one_direction() -> None:
    assert violations(PACKAGE) == []


def test_inside_data_the_engine_comes_last() -> None:
    """What describes motion knows no captions, and only the engine knows the engine."""
    may = {"describing": set[str](), "copies": set[str](), "wording": {"describing"}}
    found = []
    for path in sorted((PACKAGE / "data").rglob("*.py")):
        own = path.relative_to(PACKAGE / "data").parts[0]
        if own == "engine":
            continue
        others = {"describing", "copies", "wording", "engine"} - {own} - may.get(own, set())
        if own not in may:
            others = {"engine"}
        for line, name in imported_names(ast.parse(path.read_text(encoding="utf-8")), ""):
            if name.startswith("motionmill.data.") and name.split(".")[2] in others:
                found.append(f"{path}:{line}: {name}")
    assert found == []


def test_there_is_something_to_check() -> None:
    names = [
        name
        for path in PACKAGE.rglob("*.py")
        for _, name in imported_names(ast.parse(path.read_text(encoding="utf-8")), "motionmill")
    ]
    assert sum(name.startswith("motionmill.") for name in names) > 20


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("motion/walk.py", "from motionmill.formats.bvh import load"),
        ("motion/walk.py", "def f():\n    import motionmill.data.shards"),
        ("motion/walk.py", "if True:\n    from motionmill import formats"),
        ("motion/deep/walk.py", "from ...formats import bvh"),
        ("motion/walk.py", "from ..formats.bvh import load"),
        ("motion/walk.py", "from motionmill import load"),
        ("motion/walk.py", "import motionmill"),
        ("formats/bvh.py", "from motionmill.training import loop"),
        ("training/loop.py", "from motionmill.data.loader import Loader"),
        (
            "data/engine/build.py",
            "import importlib\nimportlib.import_module('motionmill.tokenizer.model')",
        ),
        ("tokenizer/task.py", "from motionmill.generator.model import Generator"),
        ("generator/task.py", "from motionmill.evaluation import metrics"),
        ("pipeline.py", "from motionmill.evaluation import metrics"),
        ("server/app.py", "from motionmill.cli import main"),
        ("config.py", "from motionmill.motion.motion import Motion"),
        ("chat.py", "from motionmill.config import Config"),
        ("utils.py", "x = 1"),
    ],
)
def test_a_planted_violation_is_found(tmp_path: Path, place: str, source: str) -> None:
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    assert len(violations(tmp_path)) == 1


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("__init__.py", "def f():\n    from motionmill.pipeline import TextToMotion"),
        (
            "motion/walk.py",
            "from motionmill.motion.motion import Motion\nfrom .motion import Motion",
        ),
        (
            "motion/walk.py",
            "from motionmill import __version__\nfrom motionmill.extras import require",
        ),
        ("tokenizer/task.py", "from motionmill.formats import files\nimport motionmill.video.pose"),
        ("cli.py", "from motionmill.motion.motion import Motion\nimport motionmillion"),
    ],
)
def test_imports_along_the_direction_pass(tmp_path: Path, place: str, source: str) -> None:
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    assert violations(tmp_path) == []
