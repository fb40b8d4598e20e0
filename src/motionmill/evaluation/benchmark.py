"""A prompt suite and a model -> a motion file for each prompt and seed, in the layout in which any system enters.

`MOTIONS/SEED/ID.npz` and `MOTIONS/benchmark.json`, which says whose they are. Other systems put their own files there
(see `evaluation.folder`); their `benchmark.json` is optional.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from motionmill.config import Config, parse_config
from motionmill.evaluation.setting import Setting
from motionmill.evaluation.suite import Suite
from motionmill.formats.files import save
from motionmill.pipeline import TextToMotion
from motionmill.training.weights import write_text

INFO_NAME = "benchmark.json"
_AT_ONCE = 16


class BenchmarkInfo(Config):
    """What `benchmark.json` says."""

    system: str
    suite: str = ""
    suite_version: str = ""
    licence: str = ""
    version: str = ""
    seconds: float | None = None
    cleanup: float | None = None


class Made(NamedTuple):
    """How many motions were made now, and how many were there."""

    new: int
    kept: int


def generate_suite(
    pipeline: TextToMotion,
    setting: Setting,
    suite: Suite,
    output: Path,
    *,
    seeds: int = 1,
    seconds: float | None = None,
    cleanup: float = 1.0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Made:
    """Make what is not there yet.

    Args:
        seeds: 0, 1, 2, ...: a motion of each prompt for each.
        seconds: length of all; without it each motion ends by itself.

    Raises:
        ValueError: `output` holds motions of another model, suite or setting.
    """
    info = BenchmarkInfo(
        system=setting.name,
        suite=suite.name,
        suite_version=suite.version,
        licence=pipeline.release.config.licence,
        version=setting.version,
        seconds=seconds,
        cleanup=cleanup,
    )
    output.mkdir(parents=True, exist_ok=True)
    path = output / INFO_NAME
    if path.is_file() and read_info(output) != info:
        raise ValueError(
            f"{output}: holds motions of another model, suite or setting ({path}); choose another folder"
        )
    write_text(path, json.dumps(info.model_dump(), indent=1) + "\n")
    wanted = [
        (seed, prompt, output / str(seed) / f"{prompt.id}.npz")
        for seed in range(seeds)
        for prompt in suite.prompts
    ]
    todo = [each for each in wanted if not each[2].is_file()]
    kept = len(wanted) - len(todo)
    progress(kept, len(wanted))
    for start in range(0, len(todo), _AT_ONCE):
        part = todo[start : start + _AT_ONCE]
        motions = pipeline.generate(
            [prompt.text for _, prompt, _ in part],
            seconds=seconds,
            seeds=[seed for seed, _, _ in part],
            sampling=setting.sampling,
            candidates=setting.candidates,
            cleanup=cleanup,
        )
        for motion, (_, _, file) in zip(motions, part, strict=True):
            file.parent.mkdir(exist_ok=True)
            save(motion, file)
        progress(kept + start + len(part), len(wanted))
    return Made(len(todo), kept)


def read_info(folder: Path) -> BenchmarkInfo:
    """Whose motions a folder holds; its name where it does not say.

    Raises:
        ValueError: a `benchmark.json` that is none.
    """
    path = folder / INFO_NAME
    if not path.is_file():
        return BenchmarkInfo(system=folder.resolve().name)
    try:
        values: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not JSON ({error})") from None
    return parse_config(BenchmarkInfo, values, source=str(path))
