"""`motionmill train evaluator` and `motionmill evaluate`: how good motions are, in numbers."""

from __future__ import annotations

from pathlib import Path

from motionmill.commands.options import Output
from motionmill.config import Config


def train_evaluator(
    config: Config,
    *,
    data: Path,
    output: Output,
    recipe: str = "evaluator",
    device: str | None = None,
) -> None:
    """A data set -> an evaluator, in whose space metrics are measured; goes on where it stopped.

    Args:
        data: a data set of `motionmill data run`.
        output: the run's folder.
        recipe: name of a shipped recipe, or a YAML file.
        device: cpu, cuda, mps.
    """
    from motionmill.evaluation import train
    from motionmill.evaluation.config import EvaluatorRunConfig
    from motionmill.training.device import choose_device

    assert isinstance(config, EvaluatorRunConfig)
    run = train.train_evaluator(config, data, output, device=choose_device(device))
    print(f"{run / 'report.json'}")
