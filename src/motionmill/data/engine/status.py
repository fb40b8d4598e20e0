"""A data set, finished or in the making -> what is done, what became of the clips, how fast it goes, what is left."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from motionmill.config import load_recipe
from motionmill.data.candidates import made_from, read_candidates, read_metadata
from motionmill.data.clip import Reject
from motionmill.data.config import DataConfig
from motionmill.data.engine.captioning import worded_from
from motionmill.data.engine.decisions import judge, read_decisions
from motionmill.data.engine.extracted import is_extracted
from motionmill.data.engine.measure import is_measured
from motionmill.data.engine.survey import reason_in_general
from motionmill.data.engine.thresholds import effective
from motionmill.data.engine.units import Unit, read_units
from motionmill.data.folder import Folder, Journal

_STEPS: Final = {
    "extract": "extracted",
    "measure": "candidates",
    "caption": "captions",
    "pack": "shards",
}
_COLUMNS: Final = ("id", "measurements", "reject")


@dataclass
class Status:
    """How far a data set is.

    Attributes:
        done, wanted: units by step.
        candidates, kept, pending: clips.
        rejected: clips by stage and reason.
        decided: whether duplicates and splits are decided; before, `kept` counts what passes the filters.
        seconds: worker seconds by step, in all runs.
        units_timed: units that these seconds are of, by step.
        stages: worker seconds by stage.
        costs: requests, tokens and dollars of endpoints.
    """

    done: Counter[str] = field(default_factory=Counter)
    wanted: Counter[str] = field(default_factory=Counter)
    candidates: int = 0
    kept: int = 0
    pending: int = 0
    rejected: Counter[tuple[str, str]] = field(default_factory=Counter)
    decided: bool = False
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    units_timed: Counter[str] = field(default_factory=Counter)
    stages: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    costs: dict[str, float] = field(default_factory=lambda: defaultdict(float))


def status(folder: Folder) -> Status:
    """Look through a data set, without features.

    Raises:
        DamagedFileError: a file that is not whole.
    """
    config = load_recipe(DataConfig, folder.config)
    now = effective(folder, config)
    result = Status()
    for unit in read_units(folder):
        _count_steps(result, folder, unit, config)
        for reject in _decided(result, folder, unit, now):
            result.candidates += 1
            if reject is not None:
                result.rejected[reject.stage, reason_in_general(reject.reason)] += 1
            else:
                result.kept += 1
    result.kept -= result.pending
    _read_journal(result, folder)
    return result


def _count_steps(result: Status, folder: Folder, unit: Unit, config: DataConfig) -> None:
    for step, part in _STEPS.items():
        if step == "extract" and unit.kind != "videos":
            continue
        result.wanted[step] += 1
        path = folder.file(part, unit.name)
        match step:
            case "extract":
                done = is_extracted(folder, unit, config)
            case "measure":
                done = is_measured(folder, unit, config)
            case "caption":
                done = made_from(path) == worded_from(folder, config, unit.name)
                pending = int((read_metadata(path) or {}).get("pending", 0))
                result.pending += pending
                done &= pending == 0
            case _:
                done = made_from(path) is not None
        result.done[step] += done


def _decided(
    result: Status, folder: Folder, unit: Unit, now: DataConfig
) -> Iterator[Reject | None]:
    """Why each candidate of a unit is left out, or None; by its filters alone where nothing is decided yet."""
    path = folder.file("candidates", unit.name)
    if not path.is_file():
        return
    decisions = {row.id: row for row in read_decisions(folder, unit.name)}
    names = [row.id for row in read_candidates(path, only=("id",))]
    if all(name in decisions for name in names):
        result.decided |= bool(names)
        yield from (decisions[name].reject for name in names)
        return
    for candidate in read_candidates(path, only=_COLUMNS):
        decision = decisions.get(candidate.id)
        yield judge(candidate, now) if decision is None else decision.reject


def _read_journal(result: Status, folder: Folder) -> None:
    for entry in Journal(folder):
        step, tally = str(entry.get("step", "")), entry.get("tally")
        if not isinstance(tally, dict):
            continue
        times = {
            name.removeprefix("seconds."): float(value)
            for name, value in tally.items()
            if name.startswith("seconds.")
        }
        if not times:
            continue  # nothing was left to do
        for owner in {name if name in _STEPS else step for name in times}:
            result.units_timed[owner] += 1  # a worker that packs may also have written captions
        for name, value in times.items():
            result.seconds[name if name in _STEPS else step] += value
            result.stages[name] += value
        for name, value in tally.items():
            if name.startswith(("caption.", "rewrite.")):
                result.costs[name] += value


def lines(found: Status) -> Iterator[str]:
    """A status for people."""
    for step in _STEPS:
        if not found.wanted[step]:
            continue
        line = f"{step:<8} {found.done[step]} of {found.wanted[step]} units"
        if timed := found.units_timed[step]:
            each = found.seconds[step] / timed
            line += f", {each:.2f} worker seconds each"
            if left := found.wanted[step] - found.done[step]:
                line += f", {left * each / 60:.1f} worker minutes left"
        yield line
    yield ""
    what = "kept" if found.decided else "pass the filters so far"
    rejected = sum(found.rejected.values())
    yield (
        f"{found.candidates} clips: {found.kept} {what}, {rejected} rejected, {found.pending} wait for captions"
    )
    for (stage, reason), count in sorted(
        found.rejected.items(), key=lambda item: (-item[1], item[0])
    ):
        yield f"  {count:>7}  {stage}: {reason}"
    if found.stages:
        yield ""
        yield "worker seconds by stage: " + ", ".join(
            f"{stage} {seconds:.1f}"
            for stage, seconds in sorted(found.stages.items(), key=lambda item: -item[1])
        )
    if found.costs:
        yield "endpoints: " + ", ".join(
            f"{name} {value:g}" for name, value in sorted(found.costs.items())
        )
