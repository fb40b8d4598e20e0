"""Training state <-> folders `step-00001200`, written aside and renamed, so that a killed run never leaves half of one.

The format is PyTorch's distributed checkpoint (DCP), so that any number of processes reads what any other has written,
with the checksums of its files in `files.json`. A thread writes while training goes on.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
import threading
import warnings
import zlib
from pathlib import Path
from typing import Any

import torch.distributed as dist
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.metadata import Metadata, TensorStorageMetadata
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import async_save

from motionmill.training.processes import Processes

logger = logging.getLogger(__name__)

_NAME = re.compile(r"step-(\d{8})")
_SUMS = "files.json"
_CHUNK = 1 << 22


class Checkpoints:
    """The checkpoints of a run folder."""

    def __init__(self, folder: Path, processes: Processes, *, keep: int) -> None:
        self.folder, self.processes, self.keep = folder, processes, keep
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        # The thread's own group, so that its messages do not mix with those of training.
        self._group = dist.new_group(backend="gloo") if processes.count > 1 else None

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Copy `state` (nested dict of tensors and numbers) and begin to write it; a save under way is waited for.

        What cannot be written is said in the log, and the checkpoint before it stays.
        """
        self.finish()
        partial = self.folder / f".partial-{step:08d}"
        if self.processes.main:
            shutil.rmtree(partial, ignore_errors=True)
        self.processes.wait()
        try:
            with _quiet():
                written = async_save(
                    state,
                    checkpoint_id=partial,
                    process_group=self._group,
                    no_dist=self._group is None,
                )
        except (OSError, CheckpointException) as error:
            self._failed(partial, error)
            return

        def write() -> None:
            try:
                with _quiet():
                    written.result()  # type: ignore[union-attr]
                self._complete(partial, step)
            except (Exception, CheckpointException) as error:
                self._failed(partial, error)

        self._thread = threading.Thread(target=write)
        self._thread.start()

    def finish(self, *, strict: bool = False) -> None:
        """Wait for the save under way.

        Raises:
            OSError: with `strict`, where the last save failed.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        error, self._error = self._error, None
        if error is not None and strict:
            raise OSError(
                f"{self.folder}: the last checkpoint could not be written ({_one_line(error)}); "
                f"{self._kept()}: make room and give the same command again"
            ) from error

    def load(self, state: dict[str, Any]) -> int | None:
        """Fill `state` in place from the newest sound checkpoint; returns its step, or None where there is none.

        Raises:
            ValueError: it is of another model, or all there are are damaged.
        """
        found = list_checkpoints(self.folder)
        for step, path in reversed(found):
            problem = self._problem(path)
            if problem is not None:
                logger.warning("%s is damaged (%s); the one before it is used", path, problem)
                continue
            _check_shapes(path, state)
            with _quiet():
                load(
                    state,
                    checkpoint_id=path,
                    process_group=self._group,
                    no_dist=self._group is None,
                )
            logger.info("resuming from %s", path)
            return step
        if found:
            raise ValueError(
                f"{self.folder}: all its checkpoints are damaged; remove them to begin anew, or choose another "
                "output folder"
            )
        return None

    def _complete(self, partial: Path, step: int) -> None:
        """Write the checksums, give the folder its name, and drop all but the newest `keep`."""
        sums = {
            path.name: [path.stat().st_size, _checksum(path)]
            for path in sorted(partial.iterdir())
            if self._mine(path)
        }
        parts: list[Any] = [sums]
        if self._group is not None:
            parts = [None] * self.processes.count
            dist.all_gather_object(parts, sums, group=self._group)
        if not self.processes.main:
            return
        files = {name: entry for part in parts for name, entry in part.items()}
        (partial / _SUMS).write_text(json.dumps(files, indent=1) + "\n", encoding="utf-8")
        final = self.folder / f"step-{step:08d}"
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
        for _, old in list_checkpoints(self.folder)[: -self.keep]:
            shutil.rmtree(old)

    def _mine(self, path: Path) -> bool:
        """Whether this process has written a file of a checkpoint; the main one has written `.metadata` too."""
        number = re.match(r"__(\d+)_", path.name)
        return self.processes.main if number is None else int(number[1]) == self.processes.index

    def _problem(self, path: Path) -> str | None:
        """What is wrong with a checkpoint; the main process looks for all."""
        problem = _damage(path) if self.processes.main else None
        if self._group is not None:
            box = [problem]
            dist.broadcast_object_list(box, src=0, group=self._group)
            problem = box[0]
        return problem

    def _failed(self, partial: Path, error: BaseException) -> None:
        self._error = error
        if self.processes.main:
            shutil.rmtree(partial, ignore_errors=True)
            logger.warning(
                "%s could not be written (%s); %s", partial.name, _one_line(error), self._kept()
            )

    def _kept(self) -> str:
        found = list_checkpoints(self.folder)
        return f"the newest one is {found[-1][1]}" if found else "there is none yet"


def list_checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """(step, folder) of every complete checkpoint, oldest first."""
    matches = ((_NAME.fullmatch(path.name), path) for path in folder.glob("step-*"))
    return sorted((int(match[1]), path) for match, path in matches if match)


def _damage(path: Path) -> str | None:
    """The first file that is not as it was written."""
    sums = path / _SUMS
    try:
        # Version 0.1 wrote none.
        files = json.loads(sums.read_text(encoding="utf-8")) if sums.is_file() else {}
        for name, (size, checksum) in files.items():
            file = path / name
            if not file.is_file():
                return f"{name} is missing"
            if file.stat().st_size != size or _checksum(file) != checksum:
                return f"{name} has other contents than were written"
        FileSystemReader(path).read_metadata()
    except (OSError, ValueError, TypeError, AttributeError) as error:
        return f"{_SUMS}: {error}"
    return None


def _check_shapes(path: Path, state: dict[str, Any]) -> None:
    """Raise ValueError where the checkpoint's model is another one than the state's."""
    stored: Metadata = FileSystemReader(path).read_metadata()
    there = {
        name: tuple(entry.size)
        for name, entry in stored.state_dict_metadata.items()
        if isinstance(entry, TensorStorageMetadata) and name.startswith("model.")
    }
    here = {f"model.{name}": tuple(value.shape) for name, value in state["model"].items()}
    for name in sorted(here.keys() | there.keys()):
        if here.get(name) != there.get(name):
            raise ValueError(
                f"{path}: a checkpoint of another model: {name.removeprefix('model.')} is "
                f"{there.get(name, 'absent')} there and {here.get(name, 'absent')} in this recipe; "
                "choose another output folder, or the recipe of the run"
            )


def _checksum(path: Path) -> int:
    """CRC-32 of a file."""
    value = 0
    with path.open("rb") as file:
        while part := file.read(_CHUNK):
            value = zlib.crc32(part, value)
    return value


def _one_line(error: BaseException) -> str:
    """What happened; DCP's error of a process holds another one."""
    if isinstance(error, CheckpointException):
        error = next((failure[0] for failure in error.failures.values()), error)
    return " ".join(str(error).split())[:200] or type(error).__name__


def _quiet() -> warnings.catch_warnings[None]:
    # DCP warns that no process group exists, which is what `no_dist` asks for.
    context: warnings.catch_warnings[None] = warnings.catch_warnings()
    warnings.simplefilter("ignore")
    return context
