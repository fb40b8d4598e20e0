"""New thresholds for a data set that is there: kept beside its settings, which never change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from motionmill.config import Config, load_recipe, parse_config
from motionmill.data.config import THRESHOLDS, DataConfig
from motionmill.data.folder import Folder, write_text


def threshold_names() -> dict[str, tuple[str, str]]:
    """Option -> (part of the config, field): `jerk_max` for `motion.max_jerk`, every other name as it is."""
    names: dict[str, tuple[str, str]] = {}
    for part in THRESHOLDS:
        kind = DataConfig.model_fields[part].annotation
        assert isinstance(kind, type)
        assert issubclass(kind, Config)
        for name in kind.model_fields:
            word, _, rest = name.partition("_")
            option = f"{rest}_{word}" if word in ("min", "max") else name
            names[option if option not in names else f"{part}_{option}"] = (part, name)
    return names


def effective(folder: Folder, config: DataConfig) -> DataConfig:
    """The settings of a data set with the thresholds that were changed since."""
    values = config.model_dump()
    for part, changed in _changes(folder).items():
        values[part] |= changed
    return parse_config(DataConfig, values, source=str(folder.thresholds))


def change(folder: Folder, options: Mapping[str, Any]) -> DataConfig:
    """Note new thresholds, by their options; returns the settings that hold now.

    Raises:
        ValueError: an unknown option, or a value that is not allowed; nothing is changed then.
    """
    import yaml

    known = threshold_names()
    changes = _changes(folder)
    for option, value in options.items():
        if option not in known:
            raise ValueError(f"no threshold {option!r}; known are {', '.join(known)}")
        part, name = known[option]
        changes.setdefault(part, {})[name] = value
    base = load_recipe(DataConfig, folder.config)
    values = base.model_dump()
    for part, changed in changes.items():
        values[part] |= changed
    result = parse_config(DataConfig, values, source="thresholds")
    write_text(folder.thresholds, yaml.safe_dump(changes, sort_keys=True))
    return result


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
