"""A data set's folder: where its parts lie, files that appear whole or not at all, one writer at a time.

config.yaml          the settings that the set was begun with
thresholds.yaml      those that were changed since, by `data refilter`
units/U.json         which recordings or videos a unit is made of
extracted/U.parquet  people found in a unit's videos, as motion          (stages 1-4)
candidates/U.parquet every clip, kept or not, with its measurements      (stages 5-7)
captions/U.parquet   the words of the clips that pass                    (stages 8-9)
decisions.parquet    what becomes of each clip: split, or stage, reason  (stages 10-11)
splits/NAME.txt      ids, one a line
shards/U.parquet     what a trainer reads                                (stage 12)
rejects/U.jsonl      one line for every clip that was left out
statistics.safetensors  mean and deviation of train
README.md            the card
work/                for another pose estimator: a list, clips, its results (`video.worklist`)
answers/             of language models, by the hash of what was asked
run/                 lock and journal of the runs: times, counts; no part of the set
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

PARTS: Final = ("units", "extracted", "candidates", "captions", "shards", "rejects", "splits")
_PARTIAL: Final = ".partial-"


class DamagedFileError(ValueError):
    """A file of the data set itself is not whole; made again, all is well."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} is damaged: {reason}")
        self.path, self.reason = path, reason

    def __reduce__(self) -> tuple[type[DamagedFileError], tuple[str, str]]:
        return type(self), (self.path, self.reason)


@dataclass(frozen=True)
class Folder:
    """Paths in a data set."""

    root: Path

    def file(self, part: str, unit: str) -> Path:
        """Where a part of a unit lies, or will lie."""
        suffix = {"units": ".json", "rejects": ".jsonl"}.get(part, ".parquet")
        return self.root / part / f"{unit}{suffix}"

    def units(self) -> list[str]:
        """Names of all units, in order."""
        return sorted(path.stem for path in (self.root / "units").glob("*.json"))

    @property
    def config(self) -> Path:
        return self.root / "config.yaml"

    @property
    def thresholds(self) -> Path:
        return self.root / "thresholds.yaml"

    @property
    def decisions(self) -> Path:
        return self.root / "decisions.parquet"

    @property
    def statistics(self) -> Path:
        return self.root / "statistics.safetensors"

    @property
    def card(self) -> Path:
        return self.root / "README.md"

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def journal(self) -> Path:
        return self.root / "run" / "journal.jsonl"

    @property
    def scratch(self) -> Path:
        """Where steps keep files without a name for a while; made where it is missing."""
        path = self.root / "run"
        path.mkdir(exist_ok=True)
        return path

    @property
    def answers(self) -> Path:
        return self.root / "answers"

    def make(self) -> None:
        """The folders, where they are missing."""
        for part in (*PARTS, "run"):
            (self.root / part).mkdir(parents=True, exist_ok=True)


def open_folder(path: Path) -> Folder:
    """A data set that is there.

    Raises:
        FileNotFoundError: it is none.
    """
    if not (path / "units").is_dir() or not (path / "config.yaml").is_file():
        raise FileNotFoundError(
            f"{path}: not a data set (no units/ and config.yaml); make one with `motionmill data run`"
        )
    return Folder(path)


@contextlib.contextmanager
def aside(path: Path) -> Iterator[Path]:
    """A name beside a file; what is written there takes the file's place, safe on the disk, when all went well."""
    partial = path.with_name(f"{_PARTIAL}{socket.gethostname()}-{os.getpid()}-{path.name}")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file that appears whole or not at all; one that has this content already is left alone."""
    if path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content:
        return
    with aside(path) as partial:
        partial.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """As `write_bytes`."""
    write_bytes(path, text.encode())


@contextlib.contextmanager
def locked(folder: Folder) -> Iterator[None]:
    """One run at a time; also clears away what killed runs have left unfinished.

    Raises:
        ValueError: another run works on the data set.
    """
    path = folder.root / "run" / "lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        _take(file.fileno(), folder)
        _clear(folder)
        try:
            yield  # closing the file, or dying, gives the lock back
        finally:
            _clear(folder)  # after workers that were killed


def _clear(folder: Folder) -> None:
    for part in (*PARTS, "."):
        for partial in (folder.root / part).glob(f"{_PARTIAL}*"):
            partial.unlink(missing_ok=True)


def _take(descriptor: int, folder: Folder) -> None:
    try:
        import fcntl
    except ImportError:  # Windows: nobody is kept out
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ValueError(f"{folder.root}: another run is at work on this data set") from None


class Journal:
    """What runs did and how long it took, a line each; a line that was cut off by a crash is passed over."""

    def __init__(self, folder: Folder) -> None:
        self._path = folder.journal

    def add(self, entry: Mapping[str, Any]) -> None:
        """Append a line."""
        line = json.dumps(entry, sort_keys=True) + "\n"
        with self._path.open("ab") as file:
            broken = file.tell() > 0 and not self._ends_well()
            file.write((b"\n" if broken else b"") + line.encode())

    def __iter__(self) -> Iterator[dict[str, Any]]:
        if not self._path.is_file():
            return
        with self._path.open("rb") as file:
            for line in file:
                with contextlib.suppress(ValueError):
                    entry = json.loads(line)
                    if isinstance(entry, dict):
                        yield entry

    def _ends_well(self) -> bool:
        with self._path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"
