"""Optional packages: the message, and that every extra that the code names exists."""

from __future__ import annotations

import ast
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from motionmill.extras import MissingExtraError, require

ROOT = Path(__file__).resolve().parents[1]


def test_an_installed_module_is_returned() -> None:
    assert require("json", extra="plots") is json


def test_a_missing_module_names_the_pip_command() -> None:
    with pytest.raises(MissingExtraError) as caught:
        require("no_such_module", extra="plots")
    assert str(caught.value) == (
        "no_such_module is not installed; install the extra 'plots': pip install 'motionmill[plots]'"
    )


def test_a_missing_dependency_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "half_installed.py").write_text("import no_such_dependency\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingExtraError, match="half_installed needs no_such_dependency"):
        require("half_installed", extra="plots")


def extras_named(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "require":
            yield from (
                ast.literal_eval(word.value) for word in node.keywords if word.arg == "extra"
            )


def test_every_extra_that_the_code_names_exists() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    known = set(project["optional-dependencies"])
    assert list(extras_named("require('x', extra='nowhere')")) == ["nowhere"]
    for path in (ROOT / "src").rglob("*.py"):
        for extra in extras_named(path.read_text(encoding="utf-8")):
            assert extra in known, f"{path}: extra {extra!r}; pyproject.toml has {sorted(known)}"
