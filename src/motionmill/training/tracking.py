"""Numbers of a run -> metrics.jsonl (always) and TensorBoard (when installed and asked for)."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from motionmill.extras import require


class MetricsLog:
    """Appends one JSON object a line: {"step": ..., "time": ..., name: value, ...}."""

    def __init__(self, folder: Path, *, step: int = 0, tensorboard: bool = False) -> None:
        """Open the log of a run that is at `step`; lines of later steps, of a run that was killed, are dropped."""
        self.path = folder / "metrics.jsonl"
        _drop_later(self.path, step)
        self._file: IO[str] = self.path.open("a", encoding="utf-8")
        self._board: Any = None
        if tensorboard:
            board = require("torch.utils.tensorboard", extra="tensorboard")
            self._board = board.SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def write(self, step: int, values: dict[str, float]) -> None:
        row = {"step": step, "time": round(time.time(), 3)}
        row.update({name: float(f"{value:.6g}") for name, value in values.items()})
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)

    def picture(self, step: int, path: Path) -> None:
        """Show a .png file in TensorBoard too."""
        if self._board is not None and path.is_file():
            import numpy as np
            from PIL import Image

            with Image.open(path) as image:
                pixels = np.asarray(image.convert("RGB"))
            self._board.add_image("samples", pixels, step, dataformats="HWC")

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        if self._board is not None:
            self._board.close()


def _drop_later(path: Path, step: int) -> None:
    """Keep the lines up to a step; a last line that is not whole goes too."""
    if not path.is_file():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        if row["step"] <= step:
            kept.append(line + "\n")
    partial = path.with_name(f".partial-{path.name}")
    partial.write_text("".join(kept), encoding="utf-8")
    partial.replace(path)
