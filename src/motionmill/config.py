"""YAML recipes and overrides -> frozen configs, in which an unknown key is an error; configs -> files.

Every class that takes options has its `Config` beside it. A run reads one recipe (a file, or the name of one that ships
in `recipes/`), applies dotted overrides such as `training.steps`, and saves the result beside its output.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

_RECIPES = Path(__file__).with_name("recipes")
_SUFFIXES = (".yaml", ".yml", ".json")


class Config(BaseModel):
    """A frozen set of options; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


C = TypeVar("C", bound=Config)


def load_recipe(
    kind: type[C], path_or_name: str | Path, overrides: Mapping[str, object] | None = None
) -> C:
    """A recipe with overrides -> a config.

    Args:
        kind: the class of the config.
        path_or_name: a .yaml, .yml or .json file, or the name of a recipe of the package ("tokenizer").
        overrides: dotted keys and their values; they win over the recipe.

    Raises:
        FileNotFoundError: no such file or recipe.
        ValueError: not readable as YAML or JSON, an unknown key, or a value that is not allowed.
    """
    path = _find_recipe(path_or_name)
    values = _read_mapping(path)
    for key, value in (overrides or {}).items():
        _set_dotted(values, key, value)
    return parse_config(kind, values, source=str(path_or_name))


def parse_overrides(assignments: Iterable[str]) -> dict[str, object]:
    """["training.steps=200", "width=64"] -> {"training.steps": 200, "width": 64}; values are read as YAML.

    Raises:
        ValueError: an assignment without `=` or without a key, or a value that is not YAML.
    """
    overrides: dict[str, object] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key.strip():
            raise ValueError(
                f"override {assignment!r}; expected key=value, as in training.steps=200"
            )
        overrides[key.strip()] = _parse_yaml(text, f"override {assignment!r}")
    return overrides


def parse_config(kind: type[C], values: Mapping[str, object], *, source: str) -> C:
    """Plain values -> a config.

    Args:
        kind: the class of the config.
        values: what a recipe or a `config.json` holds.
        source: where the values come from, named in errors.

    Raises:
        ValueError: an unknown key (with the nearest known one) or a value that is not allowed, in one line.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        problems = [_describe(kind, detail) for detail in error.errors(include_url=False)]
        raise ValueError(f"{source}: {'; '.join(problems)}") from None


def save_config(config: Config, path: str | Path) -> None:
    """Write the resolved config as .json, .yaml or .yml; `load_recipe` reads it back to an equal config.

    Raises:
        ValueError: another suffix.
    """
    path = Path(path)
    values = config.model_dump(mode="json")
    _check_suffix(path)
    if path.suffix == ".json":
        text = json.dumps(values, indent=2) + "\n"
    else:
        import yaml

        text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    unfinished = path.with_name(path.name + ".partial")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def recipe_names() -> list[str]:
    """Names of the recipes that ship in the package, sorted."""
    return sorted(path.stem for path in _RECIPES.glob("*.yaml"))


def home() -> Path:
    """Where caches are kept: the folder MOTIONMILL_HOME, else `~/.cache/motionmill`."""
    return Path(os.environ.get("MOTIONMILL_HOME") or "~/.cache/motionmill").expanduser()


def _find_recipe(path_or_name: str | Path) -> Path:
    path = Path(path_or_name)
    if path.suffix in _SUFFIXES or len(path.parts) > 1:
        _check_suffix(path)
        if not path.is_file():
            raise FileNotFoundError(f"no recipe file {path}")
        return path
    known = recipe_names()
    if path.name not in known:
        hint = _did_you_mean(path.name, known) or f"; the package has {', '.join(known) or 'none'}"
        raise FileNotFoundError(f"no recipe {path.name!r}{hint}; a file must end in .yaml")
    return _RECIPES / f"{path.name}.yaml"


def _check_suffix(path: Path) -> None:
    if path.suffix not in _SUFFIXES:
        raise ValueError(f"{path}: unknown kind of config file; expected {', '.join(_SUFFIXES)}")


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        values = json.loads(text) if path.suffix == ".json" else _parse_yaml(text, str(path))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: not readable: {error}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ValueError(f"{path}: expected keys and values, got a {type(values).__name__}")
    return values


def _parse_yaml(text: str, source: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "unreadable"
        raise ValueError(f"{source}{where}: not YAML: {problem}") from None


def _set_dotted(values: dict[str, Any], key: str, value: object) -> None:
    *groups, last = key.split(".")
    for group in groups:
        inner = values.setdefault(group, {})
        if not isinstance(inner, dict):
            raise ValueError(f"override {key!r}: {group!r} is a value, not a group of keys")
        values = inner
    values[last] = value


def _describe(kind: type[BaseModel], detail: Any) -> str:
    """One error of pydantic -> 'unknown key a.b; did you mean a.c?' or 'a.b = -3: should be greater than 0'."""
    location: Sequence[str | int] = detail["loc"]
    key = ".".join(str(part) for part in location)
    if detail["type"] == "extra_forbidden":
        group = ".".join(str(part) for part in location[:-1])
        known = list(_fields_at(kind, location[:-1]))
        hint = _did_you_mean(str(location[-1]), known, group) or f"; known are {', '.join(known)}"
        return f"unknown key {key}{hint}"
    if detail["type"] == "missing":
        return f"{key} is missing"
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"{key} = {detail['input']!r}: {message}" if key else message


def _fields_at(kind: type[BaseModel], location: Sequence[str | int]) -> Iterable[str]:
    models = [kind]
    for part in location:
        fields = [model.model_fields[part] for model in models if part in model.model_fields]
        models = [model for field in fields for model in _models_in(field.annotation)]
    return [name for model in models for name in model.model_fields]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _did_you_mean(name: str, known: Sequence[str], group: str = "") -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {f'{group}.' if group else ''}{near[0]}?" if near else ""
