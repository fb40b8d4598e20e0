"""A tiny generator's training, for tests in one and in several processes: python -m tests.training.job RUN STEPS.

Further arguments: seconds to wait before a batch, processes that share one copy of the model.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from motionmill.generator.config import GeneratorConfig, GeneratorDataConfig
from motionmill.generator.task import Example, GeneratorTask, Rows
from motionmill.generator.text_states import TextStates
from motionmill.training.config import ParallelConfig, TrainingConfig
from motionmill.training.loop import train
from motionmill.training.processes import main_process
from motionmill.training.weights import save_weights

MODEL = GeneratorConfig(
    num_codes=30,
    num_layers=2,
    num_heads=2,
    width=16,
    text_width=8,
    max_tokens=12,
    length_head=True,
    dropout=0.1,
)
CONFIG = TrainingConfig(
    steps=50,
    micro_batches=2,
    learning_rate=3e-3,
    warmup_steps=5,
    ema_decay=0.9,
    log_every=1,
    evaluate_every=25,
    checkpoint_seconds=1000.0,
    parallel=ParallelConfig(checkpoint_activations=True),
)


class Encoder:
    """Random states of a text, always the same."""

    width = MODEL.text_width

    def encode(self, texts: list[str]) -> list[torch.Tensor]:
        draws = [torch.Generator().manual_seed(len(text)) for text in texts]
        return [
            torch.randn(2 + len(text) % 4, self.width, generator=draw)
            for text, draw in zip(texts, draws, strict=True)
        ]

    def cut(self, text: str) -> str:
        return ""


class SlowTask(GeneratorTask):
    """Waits before every batch, so that there is time to kill it."""

    seconds = 0.0

    def batches(self, cursor: int, stride: int = 1) -> Iterator[Rows]:
        for batch in super().batches(cursor, stride):
            time.sleep(self.seconds)
            yield batch


def make_task(seconds: float = 0.0, model: GeneratorConfig = MODEL) -> GeneratorTask:
    """Forty random rows of different length, whose first token says which token comes next."""
    draw = torch.Generator().manual_seed(0)
    examples = []
    for number in range(40):
        length = int(torch.randint(3, 12, (), generator=draw))
        tokens = (torch.arange(length) * (1 + number % 3) + number) % MODEL.num_codes
        examples.append(Example(tokens, ("x" * (number % 7 + 1),), 1.0, clip=f"clip-{number}"))
    states = TextStates(Encoder)
    states.add(["", *(text for example in examples for text in example.captions)])
    data = GeneratorDataConfig(batch_size=6)
    task = SlowTask(model, data, examples, examples[:5], states, seed=1)
    task.seconds = seconds
    return task


def main(folder: Path, steps: int, seconds: float = 0.0, shard: int | None = None) -> None:
    rhythm = {"checkpoint_seconds": 0.2} if seconds else {}
    parallel = CONFIG.parallel.model_copy(update={"shard": shard})
    # The schedule is that of the whole run, wherever this part of it ends.
    config = CONFIG.model_copy(
        update={"steps": steps, "schedule": "milestones", "parallel": parallel, **rhythm}
    )
    model = train(make_task(seconds), config, folder)
    if main_process():
        save_weights(model, MODEL, folder / "generator")


if __name__ == "__main__":
    seconds, shard = [*sys.argv[3:], "0", "0"][:2]
    main(Path(sys.argv[1]), int(sys.argv[2]), float(seconds), int(shard) or None)
