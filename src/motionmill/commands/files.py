"""`motionmill convert`: motion files -> other files."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from motionmill.commands.options import Outputs
from motionmill.formats.options import WriteOptions

if TYPE_CHECKING:
    from motionmill.formats.convert import Job, Outcome, Settings
    from motionmill.motion.joint_map import JointMap


def convert(
    sources: tyro.conf.Positional[tuple[str, ...]],
    /,
    *,
    output: Outputs,
    to: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = (),
    source_format: Annotated[str | None, tyro.conf.arg(name="from")] = None,
    map: Path | None = None,
    fps: float | None = None,
    keep_skeleton: bool = False,
    overwrite: bool = False,
    workers: int | None = None,
    options: Annotated[WriteOptions, tyro.conf.arg(name="")] = WriteOptions(),  # noqa: B008
) -> None:
    """Motion files -> other formats; a rig that is recognised is carried over to our skeleton.

    One file into several: convert a.bvh -o a.glb -o a.fbx.
    Several into one: convert a.bvh b.bvh -o both.glb (or .fbx).
    Folders and patterns, each file by itself: convert mocap "more/*.bvh" -o DIR --to glb.
    What is in DIR already is kept; bad files are listed at the end, with exit code 1.

    Args:
        sources: motion files; with --to also folders and patterns.
        output: files to write, or with --to the folder to write into.
        to: format of the files to write, by its suffix; may be given several times. humanml3d and motionmillion make
            DIR a folder of that data set, with the captions and splits of data sets among the sources.
        source_format: bvh, glb, npz, smpl, motionmillion, humanml3d, joints, amc, deepmimic or a suffix, where the
            files do not say it themselves; in folders, which files to take.
        map: YAML file that says which joints are SMPL's, with lines such as `left_hip: thigh.L`.
        fps: frames per second of the result; as in the source by default.
        keep_skeleton: stay on the skeleton of the file instead of ours.
        overwrite: with --to, write again what is there already.
        workers: with --to, processes; by default one a core where there are files enough.
        options: of the formats.
    """
    from motionmill.formats.convert import Settings, find_sources
    from motionmill.formats.datasets import KINDS as DATASETS
    from motionmill.formats.workers import tidy_end

    if not sources or not output:
        raise ValueError("name the motion files to convert, and with -o where to write")
    if map is not None and keep_skeleton:
        raise ValueError(
            "--map is for carrying a motion over to our skeleton, not with --keep-skeleton"
        )
    joint_map = _joint_map(map) if map is not None else None
    if workers is not None and workers < 1:
        raise ValueError(f"--workers {workers}; expected a number of processes, 1 or more")
    settings = Settings(source_format, to, fps, keep_skeleton, overwrite, options, joint_map)
    if to and _is_folder(output, sources):
        to_folder = _convert_to_dataset if set(to) & set(DATASETS) else _convert_all
        with tidy_end():
            to_folder(sources, output[0], settings, workers)
        return
    if set(to) & set(DATASETS):
        raise ValueError(f"--to {to[0]} is for a folder; for one file: -o x.npy --features {to[0]}")
    if workers is not None or overwrite:
        raise ValueError("--workers and --overwrite are for a folder to write into, with --to")
    files = [file for file, _ in find_sources(sources, format=source_format)]
    with tidy_end():
        _convert_files(files, output, settings)


def _joint_map(file: Path) -> JointMap:
    from motionmill.motion.joint_map import load_joint_map  # with torch: not for nothing

    return load_joint_map(file)


def _is_folder(output: Sequence[Path], sources: Sequence[str]) -> bool:
    """Whether what is written with --to goes into a folder: one is there, or the name or the sources say so."""
    if len(output) != 1:
        return False
    several = len(sources) > 1 or not Path(sources[0]).is_file()
    return several or output[0].is_dir() or not output[0].suffix


def _convert_all(
    sources: Sequence[str], folder: Path, settings: Settings, workers: int | None
) -> None:
    """Every source into a file of its own; ends with exit code 1 where some could not be converted."""
    from motionmill.formats.convert import find_sources, plan
    from motionmill.formats.files import check_writable, writer_suffix

    suffixes = [writer_suffix(folder, format) for format in settings.formats]
    settings.options.check(suffixes)
    found = find_sources(
        sources, format=settings.source_format, output=folder, formats=settings.formats
    )
    jobs = plan(found, folder, settings.formats)
    folder.mkdir(parents=True, exist_ok=True)
    check_writable(folder / "file", format=settings.formats[0])
    _tell(folder, _outcomes(jobs, settings, workers), settings, suffixes)


def _convert_to_dataset(
    sources: Sequence[str], folder: Path, settings: Settings, workers: int | None
) -> None:
    """The sources into a data-set folder; captions and splits are those of data sets among the sources."""
    from motionmill.formats import datasets
    from motionmill.formats.convert import find_sources, plan

    if len(settings.formats) > 1:
        raise ValueError(f"--to {' and '.join(settings.formats)}: a folder is one data set")
    (kind,) = settings.formats
    options = settings.options.model_copy(update={"features": kind})
    options.check([".npy"])
    settings = replace(settings, formats=("npy",), options=options)
    found = find_sources(sources, format=settings.source_format, output=folder, formats=("npy",))
    known = datasets.described([source for source, _ in found])
    vectors = datasets.new_vectors(kind, folder)
    jobs = plan(found, vectors, settings.formats)
    vectors.mkdir(parents=True, exist_ok=True)
    outcomes = _outcomes(jobs, settings, workers)
    failed = {outcome.source for outcome in outcomes if outcome.error}
    made = {job.outputs[0]: known.get(job.source) for job in jobs if job.source not in failed}
    if made:
        datasets.complete(kind, folder, made)
    if without := sum(1 for clip in made.values() if clip is None or not clip.captions):
        print(f"{folder}: {without} of {len(made)} clips without captions")
    _tell(folder, outcomes, settings, [".npy"])


def _outcomes(jobs: Sequence[Job], settings: Settings, workers: int | None) -> list[Outcome]:
    """What became of the jobs, with a bar while they are done."""
    from motionmill.formats.convert import run
    from motionmill.training.progress import progress_bar

    outcomes: list[Outcome] = []
    with (
        progress_bar("converting") as show,
        contextlib.closing(run(jobs, settings, workers=workers)) as done,
    ):
        for outcome in done:
            outcomes.append(outcome)
            show(len(outcomes), len(jobs))
    return outcomes


def _tell(
    folder: Path, outcomes: Sequence[Outcome], settings: Settings, suffixes: Sequence[str]
) -> None:
    """Prints what was done and, last, the reason of every source that failed; then the exit code is 1."""
    kept = sum(outcome.kept for outcome in outcomes)
    failed = [outcome for outcome in outcomes if outcome.error]
    print(
        f"{folder}: {sum(outcome.written for outcome in outcomes)} files written"
        + (f", {kept} kept that were newer than their source" if kept else "")
        + (f", {len(failed)} of {len(outcomes)} sources failed" if failed else "")
    )
    for suffix in dict.fromkeys(suffixes):
        if remark := settings.options.remark(suffix):
            print(f"{suffix}: {remark}")
    for outcome in sorted(failed, key=lambda outcome: outcome.source):
        print(f"{outcome.source}: {outcome.error}", file=sys.stderr)
    if failed:
        raise SystemExit(1)


def _convert_files(sources: Sequence[Path], outputs: Sequence[Path], settings: Settings) -> None:
    """The sources, together, into each of the outputs."""
    from motionmill.formats.files import SEVERAL, check_writable, save, writer_suffix

    if len(settings.formats) > 1:
        raise ValueError("--to more than once is for a folder to write into; name files by -o")
    format = settings.formats[0] if settings.formats else None
    suffixes = [writer_suffix(check_writable(path, format=format), format) for path in outputs]
    settings.options.check(suffixes)
    if len(sources) > 1 and not set(suffixes) <= set(SEVERAL):
        raise ValueError(
            f"{len(sources)} sources into {', '.join(map(str, outputs))}: only {' and '.join(SEVERAL)} files hold "
            "several motions; to convert each by itself name a folder and a format: -o DIR --to bvh"
        )
    motions = [settings.read(source) for source in sources]
    for path, suffix in zip(outputs, suffixes, strict=True):
        save(motions, path, format=format, **settings.options.of(suffix))
    seconds = sum(motion.seconds for motion in motions)
    frames = f"{sum(map(len, motions))} frames at {motions[0].fps:g} fps"
    print(f"{', '.join(map(str, outputs))}: {seconds:.1f} s, {frames}")
    for path, suffix in zip(outputs, suffixes, strict=True):
        if remark := settings.options.remark(suffix):
            print(f"{path}: {remark}")
