"""Recipes, overrides and their errors."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field, ValidationError

from motionmill.config import (
    Config,
    load_recipe,
    parse_config,
    parse_overrides,
    recipe_names,
    save_config,
)


class Inner(Config):
    steps: int = Field(10, gt=0)
    learning_rate: float = 6e-4
    betas: tuple[float, float] = (0.9, 0.99)


class Outer(Config):
    width: int = 64
    levels: tuple[int, ...] = (8, 5)
    training: Inner = Inner()
    maybe: Inner | None = None


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text("width: 32\ntraining:\n  learning_rate: 6e-4\n  steps: 7\n")
    return path


def test_recipe_then_overrides(recipe: Path) -> None:
    config = load_recipe(Outer, recipe, {"training.steps": 9, "maybe.steps": 3, "levels": [4, 4]})
    assert config == Outer(
        width=32, levels=(4, 4), training=Inner(steps=9, learning_rate=6e-4), maybe=Inner(steps=3)
    )


def test_a_config_cannot_be_changed(recipe: Path) -> None:
    config = load_recipe(Outer, recipe)
    with pytest.raises(ValidationError, match="frozen"):
        config.width = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"widht": 1}, "unknown key widht; did you mean width?"),
        ({"training.stepps": 1}, "unknown key training.stepps; did you mean training.steps?"),
        ({"maybe.beta": 1}, "unknown key maybe.beta; did you mean maybe.betas?"),
        ({"zzz": 1}, "unknown key zzz; known are width, levels, training, maybe"),
        ({"training.steps": -3}, "training.steps = -3: should be greater than 0"),
        ({"width.x": 1}, "'width' is a value, not a group of keys"),
    ],
)
def test_errors_are_one_line_with_the_cure(
    recipe: Path, overrides: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=r"[.]") as caught:
        load_recipe(Outer, recipe, overrides)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_overrides_are_read_as_yaml() -> None:
    given = ["training.steps=200", "levels=[8, 5]", "maybe=null", "training.learning_rate=1e-3"]
    overrides = parse_overrides(given)
    assert overrides["training.steps"] == 200
    assert overrides["levels"] == [8, 5]
    assert overrides["maybe"] is None
    values = {"training": {"learning_rate": overrides["training.learning_rate"]}}
    assert parse_config(Outer, values, source="here").training.learning_rate == 1e-3
    for wrong in ("steps", "=3", "a=["):
        with pytest.raises(ValueError, match="override"):
            parse_overrides([wrong])


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_saved_configs_come_back_equal(tmp_path: Path, suffix: str) -> None:
    config = Outer(width=3, training=Inner(learning_rate=1e-05), maybe=Inner())
    path = tmp_path / f"config{suffix}"
    save_config(config, path)
    assert load_recipe(Outer, path) == config
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_unreadable_files(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("width: 3\nlevels: [1\n")
    with pytest.raises(ValueError, match=r"broken\.yaml, line \d: not YAML"):
        load_recipe(Outer, broken)
    broken.write_text("- 1\n")
    with pytest.raises(ValueError, match="expected keys and values, got a list"):
        load_recipe(Outer, broken)
    with pytest.raises(FileNotFoundError, match="no recipe file"):
        load_recipe(Outer, tmp_path / "absent.yaml")
    with pytest.raises(ValueError, match=r"expected \.yaml, \.yml, \.json"):
        save_config(Outer(), tmp_path / "config.toml")
    with pytest.raises(FileNotFoundError, match="no recipe 'nothing-like-it'"):
        load_recipe(Outer, "nothing-like-it")


def test_a_recipe_cannot_make_python_objects(tmp_path: Path) -> None:
    evil = tmp_path / "evil.yaml"
    evil.write_text("width: !!python/object/apply:os.getpid []\n")
    with pytest.raises(ValueError, match="not YAML"):
        load_recipe(Outer, evil)


def test_recipe_names_are_the_files_of_the_package() -> None:
    folder = Path(__file__).resolve().parents[1] / "src/motionmill/recipes"
    assert recipe_names() == sorted(path.stem for path in folder.glob("*.yaml"))
