"""Training state <-> folders `step-00001200`, written aside and renamed, so that a killed run never leaves half of one.

The format is PyTorch's distributed checkpoint (DCP), here with one process.
"""

from __future__ import annotations

import logging
import re
import shutil
import warnings
from pathlib import Path
from typing import Any

from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

logger = logging.getLogger(__name__)

_NAME = re.compile(r"step-(\d{8})")


def save_checkpoint(folder: Path, step: int, state: dict[str, Any], *, keep: int) -> Path:
    """Write `state` (nested dict of tensors and numbers) and drop all but the newest `keep` checkpoints."""
    final = folder / f"step-{step:08d}"
    partial = folder / f".partial-{step:08d}"
    shutil.rmtree(partial, ignore_errors=True)
    with _quiet():
        save(state, checkpoint_id=partial, no_dist=True)
    shutil.rmtree(final, ignore_errors=True)
    partial.rename(final)
    for _, old in list_checkpoints(folder)[:-keep]:
        shutil.rmtree(old)
    return final


def load_checkpoint(folder: Path, state: dict[str, Any]) -> int | None:
    """Fill `state` in place from the newest checkpoint; returns its step, or None where there is none."""
    found = list_checkpoints(folder)
    if not found:
        return None
    step, newest = found[-1]
    with _quiet():
        load(state, checkpoint_id=newest, no_dist=True)
    logger.info("resuming from %s", newest)
    return step


def list_checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """(step, folder) of every complete checkpoint, oldest first."""
    matches = ((_NAME.fullmatch(path.name), path) for path in folder.glob("step-*"))
    return sorted((int(match[1]), path) for match, path in matches if match)


def _quiet() -> warnings.catch_warnings[None]:
    # DCP warns that no process group exists, which is what `no_dist` asks for.
    context: warnings.catch_warnings[None] = warnings.catch_warnings()
    warnings.simplefilter("ignore")
    return context
