"""The evaluator and the judge that ship with the package, or those of a folder."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from motionmill.evaluation.evaluator import TrainedEvaluator
from motionmill.evaluation.measure import Instruments
from motionmill.evaluation.recognition import TrainedJudge
from motionmill.evaluation.words import MiniLMWords
from motionmill.training.weights import check_sums


def load_instruments(folder: Path | None = None) -> Instruments:
    """From a folder of `evaluator/` and `judge/`; the shipped one where none is given.

    Raises:
        FileNotFoundError: not there.
        ValueError: damaged.
    """
    if folder is None:
        with resources.as_file(resources.files("motionmill") / "weights" / "evaluator") as shipped:
            check_sums(shipped)
            return load_instruments(shipped)
    evaluator = TrainedEvaluator.load(folder / "evaluator", MiniLMWords())
    return Instruments(evaluator, TrainedJudge.load(folder / "judge"))
