"""The evaluator learns to tell motions apart by their captions."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest
import torch
from torch import Tensor

from motionmill.data.clip import Clip
from motionmill.evaluation.config import EvaluatorConfig, EvaluatorDataConfig, EvaluatorLossConfig
from motionmill.evaluation.task import EvaluatorInTraining, EvaluatorTask, captions_of
from motionmill.generator.text_states import TextStates
from motionmill.motion.features import NUM_FEATURES, Normalizer
from motionmill.training.config import TrainingConfig
from motionmill.training.loop import train

WIDTH = 16


class Words:
    """Each text has states of its own: pseudo-random numbers by its letters."""

    width = WIDTH

    def encode(self, texts: list[str]) -> list[Tensor]:
        return [
            torch.randn(
                5, WIDTH, generator=torch.Generator().manual_seed(zlib.crc32(text.encode()))
            )
            for text in texts
        ]

    def cut(self, text: str) -> str:
        return ""


def clips(count: int) -> list[Clip]:
    made = []
    for kind in range(count):
        draw = torch.Generator().manual_seed(kind)
        base = torch.randn(NUM_FEATURES, generator=draw)
        for take in range(4):
            features = base + 0.3 * torch.randn(30 + take, NUM_FEATURES, generator=draw)
            captions = tuple(f"{word} number {kind}" for word in ("one", "another", "some"))
            made.append(Clip(f"a/{kind}-{take}", features, captions, "a", "CC0", True, "g"))
    return made


def task(losses: EvaluatorLossConfig | None = None) -> EvaluatorTask:
    real = clips(40)
    states = TextStates(Words)
    data = EvaluatorDataConfig(batch_size=40, mirror=False)
    states.add(text for clip in real for text in clip.captions)
    model = EvaluatorConfig(
        width=32,
        num_layers=1,
        num_heads=2,
        feed_forward=32,
        text_width=WIDTH,
        stride=3,
        dropout=0.0,
    )
    train_clips, held_out = [real[i] for i in range(len(real)) if i % 4], real[::4]
    same = Normalizer(torch.zeros(NUM_FEATURES), torch.ones(NUM_FEATURES))
    return EvaluatorTask(
        model, data, losses or EvaluatorLossConfig(), train_clips, held_out, states, normalizer=same
    )


def test_held_out_takes_are_found_by_their_captions(tmp_path: Path) -> None:
    lesson = task()
    before = lesson.evaluate(lesson.model.eval())["r_at_1"]
    training = TrainingConfig(
        steps=150, learning_rate=5e-3, precision="fp32", evaluate_every=1000, warmup_steps=10
    )
    model = train(lesson, training, tmp_path)
    assert before < 0.2
    assert lesson.evaluate(model)["r_at_1"] > 0.8


def test_texts_that_mean_the_same_are_no_negatives() -> None:
    lesson = task()
    texts = torch.randn(4, 32, generator=torch.Generator().manual_seed(0))
    motions = torch.randn(4, 32, generator=torch.Generator().manual_seed(1))
    motions[1] = texts[0]  # the second motion is just what the first text says
    meanings = torch.eye(4)
    harsh, _ = lesson._contrast(texts, motions, meanings)
    meanings[1] = meanings[0]
    mild, _ = lesson._contrast(texts, motions, meanings)
    assert mild < harsh


def test_batches_follow_the_step_alone() -> None:
    lesson = task()
    stream = lesson.batches(0)
    next(stream)
    second, again = next(stream), next(lesson.batches(1))
    assert all(torch.equal(a, b) for a, b in zip(second[:-1], again[:-1], strict=True))
    assert second.clips == again.clips


def test_padding_changes_no_embedding() -> None:
    lesson = task()
    model = lesson.model.eval()
    assert isinstance(model, EvaluatorInTraining)
    batch = next(lesson.batches(0))
    alone = model.evaluator.motion(batch.motions[:1], batch.frames[:1]).mean
    size = int(batch.frames[0].sum())
    cut = model.evaluator.motion(batch.motions[:1, :size], batch.frames[:1, :size]).mean
    assert torch.allclose(alone, cut, atol=1e-5)


def test_captions_are_chosen_by_id() -> None:
    clip = clips(1)[0]
    assert captions_of(clip, 2) == captions_of(clip, 2)
    assert captions_of(clip, 2)[0] == clip.captions[0]
    assert len(captions_of(clip, 9)) == 3


@pytest.mark.parametrize("width", [30, 33])
def test_a_width_that_heads_do_not_share_is_named(width: int) -> None:
    with pytest.raises(ValueError, match=f"width {width}"):
        EvaluatorConfig(width=width, num_heads=4)
