"""What is asked for on the command line -> files: a prompt, several in a row, several samples, a file of prompts."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from motionmill.formats.files import check_writable, load, save
from motionmill.generator.prompt import check_prompt
from motionmill.generator.rewrite import Rewriting
from motionmill.motion.motion import Motion
from motionmill.motion.retarget import retarget
from motionmill.motion.skeleton import SMPL_22_NAMES
from motionmill.pipeline import TextToMotion

Check = Callable[[str, float | None], None]
_CHUNK = 32
_MAX_LINE_BYTES = 1 << 20


@dataclass(frozen=True)
class Job:
    """One prompt and what follows it.

    Attributes:
        outputs: files to write; with more than one sample, {} in a name is the sample's seed.
        seconds: length of the first part; None where the model decides.
        then: further parts, each with its seconds.
        after: file of a motion that the new one goes on from.
    """

    prompt: str
    outputs: tuple[Path, ...]
    seconds: float | None = None
    then: tuple[tuple[str, float | None], ...] = ()
    after: Path | None = None
    samples: int = 1
    seed: int = 0

    def check(self) -> None:
        """Raises ValueError or OSError for what cannot be made, before anything is loaded."""
        for prompt, _ in self.parts:
            check_prompt(prompt)
        if self.samples < 1:
            raise ValueError(f"--samples {self.samples}; expected 1 or more")
        if self.samples > 1:
            check_patterns(self.outputs, "several samples")
        for path in self.outputs:
            check_writable(path)

    @property
    def parts(self) -> tuple[tuple[str, float | None], ...]:
        return ((self.prompt, self.seconds), *self.then)

    @property
    def words(self) -> str:
        """The parts for people: "a person walks, 4 s; a person waves"."""
        lengths = ("" if length is None else f", {length:g} s" for _, length in self.parts)
        return "; ".join(
            prompt + length for (prompt, _), length in zip(self.parts, lengths, strict=True)
        )

    def rewritten(self, rewriting: Rewriting) -> Job:
        """The job with each prompt in the model's style, and the lengths that nobody gave as estimated."""
        made = rewriting([prompt for prompt, _ in self.parts])
        first, *then = (
            (new.prompt, new.seconds if seconds is None else seconds)
            for new, (_, seconds) in zip(made, self.parts, strict=True)
        )
        return replace(self, prompt=first[0], seconds=first[1], then=tuple(then))

    def run(self, pipeline: TextToMotion, **settings: Any) -> Iterator[str]:
        """Make and write; a line for the user after each sample."""
        config = pipeline.release.config
        for seed in range(self.seed, self.seed + self.samples):
            motion = self._motion(pipeline, seed, settings)
            files = self.outputs
            if self.samples > 1:
                files = tuple(_named(path, str(seed)) for path in self.outputs)
            for path in files:
                save(motion, path, licence=config.licence)
            names = ", ".join(map(str, files))
            yield f"{names}: {motion.seconds:.1f} s, seed {seed}, model {config.name} ({config.licence})"

    def _motion(self, pipeline: TextToMotion, seed: int, settings: dict[str, Any]) -> Motion:
        if self.after is None:
            return pipeline.timeline(self.parts, seed=seed, **settings)
        motion = load(self.after)
        if motion.skeleton.names != SMPL_22_NAMES:
            motion = retarget(motion)
        for number, (prompt, seconds) in enumerate(self.parts):
            motion = pipeline.extend(
                motion, prompt, seconds=seconds, seed=seed + number, **settings
            )
        return motion


def read_parts(texts: Sequence[str]) -> tuple[tuple[str, float | None], ...]:
    """ "a person waves:2" -> ("a person waves", 2.0); without seconds the model decides."""
    parts: list[tuple[str, float | None]] = []
    for text in texts:
        prompt, colon, seconds = text.rpartition(":")
        try:
            parts.append((prompt, float(seconds)) if colon else (text, None))
        except ValueError:
            parts.append((text, None))  # the colon belongs to the sentence
    return tuple(parts)


def check_patterns(outputs: Sequence[Path], why: str = "many prompts") -> None:
    """Raises ValueError for an output in whose name there is no {}; OSError where nothing can be written."""
    for path in outputs:
        if "{}" not in path.name:
            raise ValueError(
                f"-o {path}: {why} need {{}} in the name, such as {path.stem}-{{}}{path.suffix}"
            )
        check_writable(_named(path, "1"))


def _named(path: Path, part: str) -> Path:
    """The path with `part` where {} stands in its name."""
    return path.with_name(path.name.replace("{}", part))


def run_file(
    pipeline: TextToMotion, prompts: Path, outputs: Sequence[Path], **settings: Any
) -> str:
    """`generate_file` with a progress bar; what came of it, in words.

    Raises:
        RuntimeError: lines that could not be made; they are listed on stderr, a line each.
    """
    from motionmill.training.progress import progress_bar

    with progress_bar("prompts") as progress:
        made, failures = generate_file(pipeline, prompts, outputs, progress=progress, **settings)
    for failure in failures:
        print(f"{prompts}, line {failure.number}: {failure.reason}", file=sys.stderr)
    if failures:
        raise RuntimeError(
            f"{prompts}: {made} made, {len(failures)} not; the same command tries those again"
        )
    return f"{prompts}: {made} made"


@dataclass(frozen=True)
class Line:
    """A prompt of the file: its line number, the text, and the seconds that it asks for."""

    number: int
    prompt: str
    seconds: float | None


@dataclass(frozen=True)
class Failure:
    """What could not be made, and why."""

    number: int
    reason: str


def generate_file(
    pipeline: TextToMotion,
    prompts: Path,
    outputs: Sequence[Path],
    *,
    seconds: float | None = None,
    seed: int = 0,
    rewriting: Rewriting | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    **settings: Any,
) -> tuple[int, list[Failure]]:
    """Make what is not there yet.

    Args:
        prompts: one prompt a line, or a .jsonl of {"prompt": ..., "seconds": ...}; empty lines are passed over.
        outputs: files to write, with {} where the line number goes.
        seconds: length of the prompts that say none.
        seed: line n gets seed + n, whatever else is in the file.
        rewriting: puts the prompts into the model's style first.

    Returns:
        How many motions were made now, and the failures.

    Raises:
        FileNotFoundError, ValueError: no such file, an output without {}, or a length that no prompt can have.
    """
    check_patterns(outputs)
    pipeline.check("a person", seconds)
    with prompts.open("rb") as file:
        total = sum(1 for _, text in _read_lines(file) if text is None or text.strip())
    made = done = 0
    unreadable: list[Failure] = []
    failures: list[Failure] = []
    for chunk in _chunks(prompts, pipeline.check, seconds, unreadable):
        done += len(chunk)
        todo = [line for line in chunk if not all(path.exists() for path in _files(outputs, line))]
        if todo:
            if rewriting is not None:
                todo = _rewritten(todo, rewriting)
            failed = _make(pipeline, todo, outputs, seed, settings)
            failures += failed
            made += len(todo) - len(failed)
        progress(done + len(unreadable), total)
    progress(total, total)
    return made, sorted(unreadable + failures, key=lambda failure: failure.number)


def _rewritten(lines: Sequence[Line], rewriting: Rewriting) -> list[Line]:
    made = rewriting([line.prompt for line in lines])
    return [
        Line(line.number, new.prompt, new.seconds if line.seconds is None else line.seconds)
        for line, new in zip(lines, made, strict=True)
    ]


def _make(
    pipeline: TextToMotion,
    lines: Sequence[Line],
    outputs: Sequence[Path],
    seed: int,
    settings: dict[str, Any],
) -> list[Failure]:
    """Make and write; what fails together is tried one by one, so that it takes no other line with it."""
    try:
        motions = pipeline.generate(
            [line.prompt for line in lines],
            seconds=[line.seconds for line in lines],
            seeds=[seed + line.number for line in lines],
            **settings,
        )
    except (RuntimeError, ValueError, MemoryError) as error:
        if len(lines) == 1:
            return [Failure(lines[0].number, _one_line(error))]
        return [
            failure
            for line in lines
            for failure in _make(pipeline, [line], outputs, seed, settings)
        ]
    failures = []
    for line, motion in zip(lines, motions, strict=True):
        try:
            for path in _files(outputs, line):
                save(motion, path, licence=pipeline.release.config.licence)
        except (OSError, ValueError) as error:
            failures.append(Failure(line.number, _one_line(error)))
    return failures


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _files(outputs: Sequence[Path], line: Line) -> list[Path]:
    return [_named(path, f"{line.number:05d}") for path in outputs]


def _chunks(
    path: Path, check: Check, seconds: float | None, failures: list[Failure]
) -> Iterator[list[Line]]:
    """Lines that can be made, some at a time; the others become failures."""
    with path.open("rb") as file:
        lines = _lines(file, path.suffix == ".jsonl", check, seconds, failures)
        while chunk := list(itertools.islice(lines, _CHUNK)):
            yield chunk


def _lines(
    file: BinaryIO,
    is_json: bool,
    check: Check,
    seconds: float | None,
    failures: list[Failure],
) -> Iterator[Line]:
    for number, text in _read_lines(file):
        if text is not None and not text.strip():
            continue
        try:
            if text is None:
                raise ValueError(f"not text in UTF-8, or longer than {_MAX_LINE_BYTES} bytes")
            prompt, length = _read(text.strip(), seconds) if is_json else (text.strip(), seconds)
            check(prompt, length)
        except ValueError as error:
            failures.append(Failure(number, _one_line(error)))
        else:
            yield Line(number, prompt, length)


def _read_lines(file: BinaryIO) -> Iterator[tuple[int, str | None]]:
    """The numbered lines of a file of any size; None for one that is no text or endless."""
    for number in itertools.count(1):
        line = file.readline(_MAX_LINE_BYTES)
        if not line:
            return
        whole = line
        while len(line) == _MAX_LINE_BYTES and not line.endswith(b"\n"):
            line = file.readline(_MAX_LINE_BYTES)
        try:
            text = whole.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            yield number, None
        else:
            yield number, text if whole is line else None


def _read(text: str, seconds: float | None) -> tuple[str, float | None]:
    try:
        row = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON ({error.msg})") from None
    except RecursionError:
        raise ValueError("not JSON (too deeply nested)") from None
    prompt = row.get("prompt") if isinstance(row, dict) else None
    length = row.get("seconds", seconds) if isinstance(row, dict) else None
    is_number = isinstance(length, int | float) and not isinstance(length, bool)
    if not isinstance(prompt, str) or not (length is None or is_number):
        raise ValueError('expected {"prompt": "...", "seconds": 3}')
    return prompt, length
