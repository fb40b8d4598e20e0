"""Videos and motion capture -> a captioned, leak-free, sharded data set on our skeleton.

The steps in order, each over units of work: extract (stages 1-4), measure (5-7), decide (10-11), caption (8-9, a step
of its own only where a model is asked), pack (12). Duplicates and splits are decided before captions are written, so
that no caption is paid for a clip that goes.

A file that is there, whole and made from the same things is done: whatever was killed, whenever, a run goes on where
the last one stopped and ends with the same bytes.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from motionmill.config import load_recipe, save_config
from motionmill.data.candidates import check_whole
from motionmill.data.config import DataConfig
from motionmill.data.engine.captioning import start_captioning
from motionmill.data.engine.card import surveyor_of, write_card
from motionmill.data.engine.decisions import decide_all, decided_from, decisions_made_from
from motionmill.data.engine.executor import Executor, Failed, Needs, Step, Tally
from motionmill.data.engine.extracted import MakeReady, is_extracted, start_extracting
from motionmill.data.engine.measure import is_measured, start_measuring
from motionmill.data.engine.pack import gather, start_packing
from motionmill.data.engine.pool import ProcessPool
from motionmill.data.engine.sources import Input, find_inputs
from motionmill.data.engine.thresholds import effective
from motionmill.data.engine.units import Unit, plan_units, read_unit
from motionmill.data.folder import DamagedFileError, Folder, Journal, locked, open_folder

logger = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]
"""Step, units done, units in all."""

_CHECKED_PARTS: Final = ("extracted", "candidates", "captions", "shards")
_ROUNDS: Final = (
    4  # a damaged file is found by the step that reads it, and made again in the next round
)
_SHOWN_FAILURES: Final = 3


class RunError(RuntimeError):
    """A run that could not do everything; what it did stays, and another run goes on from there."""


@dataclass(frozen=True)
class Summary:
    """What a run ended with.

    Attributes:
        kept, rejected: clips.
        pending: clips that wait for an endpoint's answer.
    """

    kept: int
    rejected: int
    pending: int


@dataclass
class _Run:
    """One run on a data set: what its steps share."""

    folder: Folder
    config: DataConfig
    executor: Executor
    progress: Progress
    gpus: float
    ready: MakeReady | None = None
    command: str = ""
    journal: Journal = field(init=False)

    def __post_init__(self) -> None:
        self.journal = Journal(self.folder)


def build(
    inputs: Sequence[Path],
    output: Path,
    config: DataConfig,
    *,
    executor: Executor | None = None,
    gpus: float = 0.0,
    ready: MakeReady | None = None,
    command: str = "",
    progress: Progress = lambda step, done, total: None,
) -> Summary:
    """Build the data set `output`, or go on with it, or add what the inputs have gained.

    Args:
        inputs: see `sources.find_inputs`; none to go on with what the data set knows.
        executor: who does the work; this process by default.
        gpus: taken by each worker that finds people in videos.
        ready: loads what finds people in videos, once a worker; MediaPipe by default.
        command: of the estimator that works on the work list (`worklist.run_command`); empty where somebody else starts
            it.
        progress: told of every unit.

    Raises:
        FileNotFoundError, ValueError: an input that is not there or has no motion; an output built with other settings.
        RunError: some units could not be done; the message says which, and why.
    """
    if command and config.estimator != "work list":
        raise ValueError(
            f"a command for another estimator, but estimator is {config.estimator!r}; set it to 'work list'"
        )
    found = find_inputs(inputs, config.read)
    folder = Folder(output)
    if not inputs:
        open_folder(output)
    folder.make()
    with locked(folder):
        _claim(folder, config)
        run = _Run(folder, config, executor or ProcessPool(1), progress, gpus, ready, command)
        return _until_whole(run, found)


def rebuild(folder: Folder, *, progress: Progress = lambda step, done, total: None) -> Summary:
    """Decide anew on what was measured, and pack: no video, recording or model is looked at.

    Clips that pass now and did not before get their captions from labels and descriptions; where a model captions they
    are pending until the next run.
    """
    config = load_recipe(DataConfig, folder.config)
    with locked(folder):
        run = _Run(folder, config, ProcessPool(1), progress, 0.0)
        return _finish(run, folder.units(), asks=False)


def _until_whole(run: _Run, inputs: Sequence[Input]) -> Summary:
    for _ in range(_ROUNDS):
        try:
            plan_units(run.folder, inputs, run.config.units)
            units = run.folder.units()
            _check(run, units)
            _extract_and_measure(run, units)
            return _finish(run, units)
        except DamagedFileError as error:
            logger.warning("%s; it is made again", error)
            Path(error.path).unlink(missing_ok=True)
    raise RunError(f"{run.folder.root}: files are damaged again and again; check the disk")


def _claim(folder: Folder, config: DataConfig) -> None:
    """Note the settings, or make sure that the data set was begun with the same."""
    if not folder.config.is_file():
        save_config(config, folder.config)
        return
    before = load_recipe(DataConfig, folder.config)
    if before != config:
        old, new = before.model_dump(), config.model_dump()
        parts = ", ".join(name for name in new if new[name] != old[name])
        raise ValueError(
            f"{folder.root} was begun with other settings of {parts} ({folder.config}); choose another output folder, "
            "or `motionmill data refilter` for thresholds"
        )


def _check(run: _Run, units: Sequence[str]) -> None:
    """Read what no run has noted as whole (it was killed before, or somebody has changed or copied the file)."""
    noted = {}
    for entry in run.journal:
        if "file" in entry:
            noted[entry["file"]] = entry["stat"]
    unknown = set()
    for unit in units:
        for part in _CHECKED_PARTS:
            path = run.folder.file(part, unit)
            if path.is_file() and noted.get(_name(run, path)) != _stat(path):
                unknown.add(str(path))
    names = [unit for unit in units if unknown & {str(path) for path in _files(run.folder, unit)}]
    start = functools.partial(_start_checking, run.folder.root, frozenset(unknown))
    _do(run, Step("check", start), names)


def _files(folder: Folder, unit: str) -> list[Path]:
    return [folder.file(part, unit) for part in _CHECKED_PARTS]


def _start_checking(root: Path, unknown: frozenset[str]) -> Callable[[str], Tally]:
    return functools.partial(_check_unit, Folder(root), unknown)


def _check_unit(folder: Folder, unknown: frozenset[str], name: str) -> Tally:
    """Remove the files of a unit that are damaged."""
    damaged = 0
    for path in _files(folder, name):
        if str(path) in unknown and not check_whole(path):
            logger.warning("%s is damaged; it is made again", path)
            path.unlink(missing_ok=True)
            damaged += 1
    return {"damaged": damaged}


def _extract_and_measure(run: _Run, units: Sequence[str]) -> None:
    folder, config = run.folder, run.config
    read = [read_unit(folder, name) for name in units]
    videos = [unit for unit in read if unit.kind == "videos"]
    _extract(run, videos)
    if videos and config.estimator == "work list":
        _ask_elsewhere(run, videos)
    missing = [unit.name for unit in read if not is_measured(folder, unit, config)]
    keys = {unit.name: len(unit.keys) for unit in read}
    start = functools.partial(start_measuring, folder.root, config)
    _do(run, Step("measure", start), _largest_first(missing, keys.__getitem__), ("candidates",))


def _extract(run: _Run, videos: Sequence[Unit]) -> None:
    """Find the people of the units that have not been looked at, or whose results of another program have come."""
    folder, config = run.folder, run.config
    missing = [unit.name for unit in videos if not is_extracted(folder, unit, config)]
    sizes = {unit.name: sum(_size(unit.path / key) for key in unit.keys) for unit in videos}
    missing = _largest_first(missing, sizes.__getitem__)
    start = functools.partial(start_extracting, folder.root, config, run.ready)
    _do(run, Step("extract", start, Needs(gpus=run.gpus, model=True)), missing, ("extracted",))


def _ask_elsewhere(run: _Run, videos: Sequence[Unit]) -> None:
    """Let another program estimate poses, if its command is known; say who waits for them in the end."""
    from motionmill.video.worklist import gather, pending, run_command

    work = run.folder.work
    listed = gather(work)
    if run.command and pending(work):
        run_command(run.command, work)
        _extract(run, videos)
    if waiting := len(pending(work)):
        logger.warning("%d people wait in %s for their poses; they are left out", waiting, listed)


def _finish(run: _Run, units: Sequence[str], *, asks: bool = True) -> Summary:
    """Decide, caption, pack, count: everything after measuring."""
    folder = run.folder
    config = effective(folder, run.config)
    if decisions_made_from(folder) != decided_from(folder, config, units):
        run.progress("decide", 0, 1)
        run.journal.add({"step": "decide", "begun": time.time(), "units": 1})
        begun = time.perf_counter()
        kept = decide_all(folder, config, units)
        seconds = time.perf_counter() - begun
        run.journal.add({"step": "decide", "tally": {"seconds.decide": seconds, "kept": kept}})
        run.progress("decide", 1, 1)
    ordered = _largest_first(units, lambda unit: _size(folder.file("candidates", unit)))
    model = bool(config.caption.url or config.rewrite.url)
    if model and asks:
        start = functools.partial(start_captioning, folder.root, config)
        needs = Needs(cpus=0.25, model=True)
        _do(run, Step("caption", start, needs), ordered, ("captions",))
    # Without a model words cost little: a worker writes those of a unit just before its shard.
    start = functools.partial(start_packing, folder.root, config, words=not model)
    parts = ("shards",) if model else ("captions", "shards")
    with surveyor_of(folder, run.config) as surveyor:  # counts while the workers pack
        tallies = _do(run, Step("pack", start), ordered, parts, then=surveyor.add)
        run.journal.add({"step": "card", "begun": time.time(), "units": 1})
        begun = time.perf_counter()
        gather(folder, units)
        write_card(folder, run.config, surveyor.result())
    run.journal.add({"step": "card", "tally": {"seconds.card": time.perf_counter() - begun}})
    kept, rejected, waiting = (
        int(sum(tally[name] for tally in tallies)) for name in ("kept", "rejected", "waiting")
    )
    return Summary(kept, rejected, waiting)


def _largest_first(units: Sequence[str], size: Callable[[str], int]) -> list[str]:
    """The order of work: a film of two hours that is begun last would be waited for by all workers."""
    return sorted(units, key=lambda unit: (-size(unit), unit))


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _do(
    run: _Run,
    step: Step,
    units: Sequence[str],
    parts: Sequence[str] = (),
    then: Callable[[str], None] = lambda unit: None,
) -> list[Tally]:
    """A step over units, noted in the journal; `then` is told of each that is done.

    Raises:
        DamagedFileError: a unit needs a file that is not whole.
        RunError: something else went wrong with a unit; the others are done, unless none can be.
    """
    if not units:
        return []
    run.journal.add({"step": step.name, "begun": time.time(), "units": len(units)})
    run.progress(step.name, 0, len(units))
    tallies: list[Tally] = []
    failures: list[Failed] = []
    outcomes = run.executor.run(step, units)
    for outcome in outcomes:
        if isinstance(outcome, Failed):
            failures.append(outcome)
            logger.debug("%s: %s", outcome.unit, outcome.details)
            if outcome.fatal:
                break
        else:
            tallies.append(outcome.tally)
            _note(run, step, outcome.unit, outcome.tally, parts)
            then(outcome.unit)
            if outcome.tally.get("endpoint_down"):
                logger.warning("%s: the endpoint fails; the other clips wait", outcome.unit)
                break
        run.progress(step.name, len(tallies) + len(failures), len(units))
    close = getattr(outcomes, "close", None)
    if close is not None:
        close()
    for failed in failures:
        if failed.damaged:
            raise DamagedFileError(failed.damaged, failed.reason)
    if failures:
        raise RunError(_told(step, failures, len(units)))
    return tallies


def _note(run: _Run, step: Step, unit: str, tally: Tally, parts: Sequence[str]) -> None:
    run.journal.add({"step": step.name, "unit": unit, "tally": dict(tally), "time": time.time()})
    for part in parts:
        path = run.folder.file(part, unit)
        run.journal.add({"file": _name(run, path), "stat": _stat(path)})


def _told(step: Step, failures: Sequence[Failed], total: int) -> str:
    fatal = [failed for failed in failures if failed.fatal]
    shown = [
        f"{failed.unit}: {failed.reason}" if failed.unit else failed.reason
        for failed in (fatal or failures)[:_SHOWN_FAILURES]
    ]
    more = f" and {len(failures) - len(shown)} more" if len(failures) > len(shown) else ""
    return (
        f"step {step.name}: {len(failures)} of {total} units failed ({'; '.join(shown)}{more}); "
        "the same command goes on where it stopped"
    )


def _name(run: _Run, path: Path) -> str:
    return path.relative_to(run.folder.root).as_posix()


def _stat(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]
