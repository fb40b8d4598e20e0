"""`motionmill extract`: a video -> the motion of the people in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from motionmill.commands.options import Outputs
from motionmill.video.config import WHOLE_SHOTS, VideoConfig

if TYPE_CHECKING:
    from motionmill.motion.motion import Motion
    from motionmill.video.candidate import PersonClip
    from motionmill.video.extract import Extraction
    from motionmill.video.worklist import WorkList


def extract(
    video: tyro.conf.Positional[Path],
    /,
    *,
    output: Outputs,
    person: int | None = None,
    sheet: Path | None = None,
    work: Path | None = None,
    run: str | None = None,
    config: Annotated[VideoConfig, tyro.conf.arg(name="")] = WHOLE_SHOTS,
) -> None:
    """The people in a video -> motion files.

    Everybody in the video who is seen well and long enough becomes a motion; those longest in sight come first.
    Of several, each gets a file of its own: person.bvh becomes person-1.bvh, person-2.bvh and so on.

    Args:
        video: any video; a shot longer than --shots.max-seconds becomes several motions.
        output: files to write (.bvh, .glb, .fbx, .npz, ...); may be given several times.
        person: only this one, by its number.
        sheet: a picture (.png) of each motion beside the video, numbered as the motions are.
        work: folder of a work list for another pose estimator; its results there are taken instead of MediaPipe's.
        run: with --work, the estimator's command; {list} and {folder} stand for the list and the folder.
        config: options and thresholds.
    """
    from motionmill.formats.files import check_writable
    from motionmill.training.progress import progress_bar
    from motionmill.video.extract import extract as extract_people

    if not output:
        raise ValueError("say with -o where to write")
    if run is not None and work is None:
        raise ValueError("--run is the command for a work list; say with --work where that is")
    for path in output:
        check_writable(path)
    if sheet is not None:
        check_writable(sheet.with_suffix(".png"))
    estimator = _elsewhere(work, video, config)
    with progress_bar("extracting") as show:

        def tell(share: float) -> None:
            show(round(100 * share), 100)

        found = extract_people(video, config, estimator=estimator, progress=tell)
        if work is not None:
            from motionmill.video.worklist import gather, run_command

            gather(work)
            if run is not None and _waiting(found):
                run_command(run, work)
                found = extract_people(video, config, estimator=estimator, progress=tell)
    people = _chosen(found, person, video, work)
    for number, (one, motion) in enumerate(people, 1):
        paths = [_numbered(path, number, len(people)) for path in output]
        _write(motion, paths, one)
        if sheet is not None:
            from motionmill.video.sheet import video_sheet

            video_sheet(video, one, _numbered(sheet, number, len(people)), config=config.frames)
    for reject in found.rejects:
        print(f"left out: {reject.seconds[0]:.1f} to {reject.seconds[1]:.1f} s, {reject.failure}")


def _elsewhere(work: Path | None, video: Path, config: VideoConfig) -> WorkList | None:
    if work is None:
        return None
    from motionmill.video.worklist import WorkList

    return WorkList(work, video.stem, config.pose)


def _waiting(found: Extraction) -> bool:
    from motionmill.video.worklist import PENDING

    return any(PENDING in reject.flags for reject in found.rejects)


def _chosen(
    found: Extraction, person: int | None, video: Path, work: Path | None
) -> list[tuple[PersonClip, Motion]]:
    """The people to write, and their motions with names.

    Raises:
        ValueError: nobody, or no such person; the message says what kept the best candidate out.
    """
    from dataclasses import replace

    people = [
        (one, replace(one.motion, name=f"{video.stem}, person {number}"))
        for number, one in enumerate(found.by_presence(), 1)
    ]
    if not people and work is not None and _waiting(found):
        raise ValueError(
            f"{video.name}: its people wait in {work / 'work.jsonl'} for their results; run the estimator, then "
            "this again"
        )
    if not people:
        tried = [one for one in found.rejects if one.failure.stage != "people"]
        if not tried:
            raise ValueError(f"{video.name}: nobody is seen in it")
        best = max(tried, key=lambda one: one.measurements.get("frames", 0.0))
        raise ValueError(
            f"{video.name}: nobody in it becomes a motion; what came furthest failed at {best.failure}"
        )
    if person is None:
        return people
    if not 1 <= person <= len(people):
        raise ValueError(f"--person {person}: {video.name} has {len(people)}, numbered from 1")
    return [people[person - 1]]


def _numbered(path: Path, number: int, count: int) -> Path:
    return path if count == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")


def _write(motion: Motion, paths: Sequence[Path], one: PersonClip) -> None:
    from motionmill.formats.files import save

    for path in paths:
        save(motion, path)
    start, end = one.seconds
    flags = f"; {', '.join(one.flags)}" if one.flags else ""
    print(
        f"{', '.join(map(str, paths))}: {motion.seconds:.1f} s, {len(motion)} frames at {motion.fps:g} fps, "
        f"from {start:.1f} to {end:.1f} s of the video{flags}"
    )
