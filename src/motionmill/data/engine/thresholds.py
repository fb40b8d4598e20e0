"""New thresholds for a data set that is there: kept beside its settings, which never change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic.fields import FieldInfo

from motionmill.config import load_recipe, parse_config
from motionmill.data.config import THRESHOLDS, DataConfig
from motionmill.data.folder import Folder, write_text


class Threshold(NamedTuple):
    """A field of a part of `DataConfig` that can change later."""

    part: str
    name: str
    field: FieldInfo


def threshold_options() -> dict[str, Threshold]:
    """Option -> threshold: `jitter_max` for `motion.max_jitter`, `duplicates_drop` for what is no limit."""
    options: dict[str, Threshold] = {}
    for part in THRESHOLDS:
        for name, field in _fields(part).items():
            word, _, rest = name.partition("_")
            if word in ("min", "max"):
                option = f"{rest}_{word}"
            elif part.startswith("video."):
                continue  # how poses are made: to change that is to make them again
            else:
                option = f"{part}_{name}"
            assert option not in options, option
            options[option] = Threshold(part, name, field)
    return options


def effective(folder: Folder, config: DataConfig) -> DataConfig:
    """The settings of a data set with the thresholds that were changed since."""
    return _changed(config, _changes(folder), str(folder.thresholds))


def change(folder: Folder, options: Mapping[str, Any]) -> DataConfig:
    """Note new thresholds, by their options; returns the settings that hold now.

    Raises:
        ValueError: an unknown option, or a value that is not allowed; nothing is changed then.
    """
    import yaml

    known = threshold_options()
    changes = _changes(folder)
    for option, value in options.items():
        if option not in known:
            raise ValueError(f"no threshold {option!r}; known are {', '.join(known)}")
        part, name, _ = known[option]
        changes.setdefault(part, {})[name] = value
    result = _changed(load_recipe(DataConfig, folder.config), changes, "thresholds")
    write_text(folder.thresholds, yaml.safe_dump(changes, sort_keys=True))
    return result


def _fields(part: str) -> Mapping[str, FieldInfo]:
    kind: Any = DataConfig
    for name in part.split("."):
        kind = kind.model_fields[name].annotation
    fields: Mapping[str, FieldInfo] = kind.model_fields
    return fields


def _changed(
    config: DataConfig, changes: Mapping[str, Mapping[str, Any]], source: str
) -> DataConfig:
    values = config.model_dump()
    for part, changed in changes.items():
        group = values
        for name in part.split("."):
            group = group[name]
        group.update(changed)
    return parse_config(DataConfig, values, source=source)


def _changes(folder: Folder) -> dict[str, dict[str, Any]]:
    import yaml

    if not folder.thresholds.is_file():
        return {}
    found = yaml.safe_load(folder.thresholds.read_text(encoding="utf-8")) or {}
    allowed = isinstance(found, dict) and all(
        part in THRESHOLDS and isinstance(changed, dict) for part, changed in found.items()
    )
    if not allowed:
        raise ValueError(f"{folder.thresholds}: expected thresholds of {', '.join(THRESHOLDS)}")
    return {part: dict(changed) for part, changed in found.items()}
