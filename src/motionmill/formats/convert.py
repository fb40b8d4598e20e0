"""Many motion files -> files of other formats, on all cores; what fails is told, what is there already is kept."""

from __future__ import annotations

import contextlib
import functools
import itertools
import time
from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from motionmill.formats.datasets import vectors_in
from motionmill.formats.files import load, save, suffix_of
from motionmill.formats.options import WriteOptions
from motionmill.formats.reading import suffixes_of
from motionmill.formats.workers import num_cores, on_processes

if TYPE_CHECKING:
    from motionmill.motion.joint_map import JointMap
    from motionmill.motion.motion import Motion

# A process takes a second or two to start. It pays for so many files, whatever they are, or for so much time.
_MANY_FILES = 150
_MANY_SECONDS = 5.0
_MODULES = ("motionmill.motion.retarget",)
_KILLED = "its process was killed; too large for the memory?"


@dataclass(frozen=True)
class Settings:
    """What is done to every file.

    Attributes:
        source_format: name or suffix of the format that the sources have; None where they say it themselves.
        formats: suffixes of the formats to write.
        fps: frames per second of the results; None keeps the source's.
        keep_skeleton: whether to write on the file's own skeleton instead of carrying the motion over to ours.
        overwrite: whether to write files that are there already and newer than their source.
        options: of the formats.
        joint_map: which joints are SMPL's, where that is not told from names and bones.
    """

    source_format: str | None = None
    formats: tuple[str, ...] = ()
    fps: float | None = None
    keep_skeleton: bool = False
    overwrite: bool = False
    options: WriteOptions = field(default_factory=WriteOptions)
    joint_map: JointMap | None = None

    def read(self, source: Path) -> Motion:
        """A motion file as it is to be written: on our skeleton and at the frame rate that was asked for.

        Raises:
            ValueError: not readable, or a rig that cannot be carried over; the message says what is missing.
        """
        from motionmill.motion.retarget import retarget
        from motionmill.motion.skeleton import SMPL_22_NAMES

        motion = load(source, format=self.source_format)
        ours = motion.skeleton.names == SMPL_22_NAMES and self.joint_map is None
        if not (self.keep_skeleton or ours):
            motion = retarget(motion, joint_map=self.joint_map)
        return motion if self.fps is None else motion.resample(self.fps)


@dataclass(frozen=True)
class Job:
    """A source and the files to be made of it, one for each format."""

    source: Path
    outputs: tuple[Path, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes:
        source: the file.
        written: how many files were written.
        kept: how many were there already.
        error: why there is nothing; "" where all went well.
    """

    source: Path
    written: int = 0
    kept: int = 0
    error: str = ""


def find_sources(
    patterns: Sequence[str],
    *,
    format: str | None = None,
    output: Path | None = None,
    formats: Sequence[str] = (),
) -> list[tuple[Path, Path]]:
    """Files, folders and globs -> (file, its place under what was named) in the order given, each file once.

    Args:
        patterns: a folder stands for all motion files in it, at any depth, hidden ones left out; one of a data set
            (HumanML3D, MotionMillion) for those in its folder of motions.
        format: of the sources; it says which files of a folder to take (.txt, .json, .pt and .pkl only where it is
            given).
        output: the folder to be written to; what it has of earlier runs is no source.
        formats: suffixes of the formats to write there.

    Raises:
        FileNotFoundError: a name that does not exist, or a pattern or a folder without files.
        ValueError: unknown format.
    """
    wanted = suffixes_of(format)
    made = [suffix_of(Path(), format) for format in formats]
    found: dict[Path, Path] = {}
    for pattern in patterns:
        path = Path(pattern)
        if path.is_dir():
            if dataset := vectors_in(path):
                _, path = dataset
            below = [
                file for file in _files_below(path, wanted) if not _made(file, path, output, made)
            ]
            files = [(file, file.relative_to(path)) for file in below]
        elif path.exists():
            files = [(path, Path(path.name))]
        else:
            files = _fitting(path)
        if not files:
            raise FileNotFoundError(_nothing_at(path, wanted))
        for file, place in files:
            found.setdefault(file, place)
    return list(found.items())


def plan(sources: Sequence[tuple[Path, Path]], folder: Path, formats: Sequence[str]) -> list[Job]:
    """What to write where: `sub/walk.bvh` becomes `FOLDER/sub/walk.glb`, or `walk.bvh.glb` beside a `walk.npz`.

    Raises:
        ValueError: two sources would become the same file.
    """
    suffixes = [suffix_of(Path(), format) for format in formats]
    stems = Counter(place.with_suffix("") for _, place in sources)
    jobs = []
    taken: dict[Path, Path] = {}
    for source, place in sources:
        alone = stems[place.with_suffix("")] == 1
        stem = place.with_suffix("").name if alone else place.name
        target = folder / place.parent / stem
        if (other := taken.setdefault(target, source)) != source:
            raise ValueError(
                f"{other} and {source} would both become {target}; name the folder above them"
            )
        outputs = tuple(target.with_name(target.name + suffix) for suffix in suffixes)
        jobs.append(Job(source, outputs))
    return jobs


def run(
    jobs: Sequence[Job], settings: Settings, *, workers: int | None = None
) -> Generator[Outcome, None, None]:
    """Does the jobs and tells of each as it is done, in any order; close it to stop early.

    Args:
        jobs: as `plan` gives them.
        settings: the same for all.
        workers: processes. By default the files are converted in this one, and where there are many, or where the first
            ones show that they take long, by one process a core.
    """
    waiting: deque[Job] = deque()
    for job in jobs:
        if _missing(job, settings):
            waiting.append(job)
        else:
            yield Outcome(job.source, kept=len(job.outputs))
    processes = num_cores() if workers is None else workers
    if processes == 1 or (workers is None and len(waiting) < _MANY_FILES):
        yield from _here(waiting, settings, changes=processes > 1)
    work = functools.partial(_on_one_thread, settings)
    with contextlib.closing(on_processes(work, waiting, processes, modules=_MODULES)) as results:
        for job, result in results:
            yield result or Outcome(job.source, error=_KILLED)


def convert(job: Job, settings: Settings) -> Outcome:
    """One source into its outputs. Whatever goes wrong with it is in the outcome; only a missing package is raised."""
    written, missing = 0, _missing(job, settings)
    try:
        if missing:
            motion = settings.read(job.source)
        for path in missing:
            path.parent.mkdir(parents=True, exist_ok=True)
            save(motion, path, **settings.options.of(path.suffix))
            written += 1
    except ImportError:
        raise
    except (
        Exception
    ) as error:  # one bad file of many is a row of the report, whatever is wrong with it
        expected = isinstance(error, ValueError | OSError)
        reason = str(error) if expected else f"{type(error).__name__}: {error}"
        return Outcome(job.source, written=written, error=" ".join(reason.split()))
    return Outcome(job.source, written=written, kept=len(job.outputs) - written)


def _here(waiting: deque[Job], settings: Settings, *, changes: bool) -> Iterator[Outcome]:
    """Does the jobs that wait in this process, all or, where that may change, until they turn out to take long."""
    seconds: list[float] = []
    while waiting and not (changes and _take_long(seconds, len(waiting))):
        start = time.perf_counter()
        outcome = convert(waiting.popleft(), settings)
        seconds.append(time.perf_counter() - start)
        yield outcome


def _take_long(seconds: Sequence[float], left: int) -> bool:
    """Whether what is left, at least two files, pays for processes, as far as the seconds of the first files tell."""
    typical = seconds[1:] or [each for each in seconds if each > _MANY_SECONDS]
    return left > 1 and bool(typical) and left * sum(typical) / len(typical) > _MANY_SECONDS


def _on_one_thread(settings: Settings, job: Job) -> Outcome:
    """`convert` where other processes work beside this one."""
    import torch

    torch.set_num_threads(1)
    return convert(job, settings)


def _files_below(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in suffixes
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
        and _is_source(file)
    )


def _fitting(pattern: Path) -> list[tuple[Path, Path]]:
    """The files that fit a pattern, each with its place under the part of the pattern that has no wildcards."""
    above = Path(*itertools.takewhile(lambda part: not _is_magic(part), pattern.parts))
    files = Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor)))
    return [(file, file.relative_to(above)) for file in sorted(files) if _is_source(file)]


def _is_source(file: Path) -> bool:
    """Whether it is a file, and none of MuJoCo's trajectories, which hold no skeleton."""
    return file.is_file() and not file.name.endswith(".qpos.npz")


def _is_magic(text: str) -> bool:
    return any(letter in text for letter in "*?[")


def _made(file: Path, folder: Path, output: Path | None, formats: Sequence[str]) -> bool:
    """Whether a file of a folder of sources was written by an earlier run into the output folder."""
    if output is None or output.resolve() not in file.resolve().parents:
        return False
    in_place = output.resolve() in (folder.resolve(), *folder.resolve().parents)
    return not in_place or file.suffix.lower() in formats


def _nothing_at(path: Path, suffixes: Sequence[str]) -> str:
    if path.is_dir():
        return f"{path}: no motion files in this folder; expected {', '.join(suffixes)} (--from takes other kinds)"
    if _is_magic(str(path)):
        return f"{path}: no file fits this pattern"
    return f"{path} does not exist; expected a file with motion, a folder of them or a pattern"


def _missing(job: Job, settings: Settings) -> list[Path]:
    """The outputs of a job that are not there, or older than its source; all of them if they are to be overwritten."""
    if settings.overwrite:
        return list(job.outputs)
    changed = job.source.stat().st_mtime_ns
    return [path for path in job.outputs if not path.is_file() or path.stat().st_mtime_ns < changed]
