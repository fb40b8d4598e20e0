"""The ranker: a few steps teach it which motion a caption is about; the pipeline keeps the motion it likes best."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from motionmill.generator.config import RankerConfig, RankerDataConfig
from motionmill.generator.ranker import Ranker, TrainedRanker, pad_right
from motionmill.generator.ranker_task import RankerTask, mirrored
from motionmill.generator.release import load_release
from motionmill.generator.task import Example
from motionmill.generator.text_states import TextStates
from motionmill.motion.features import Normalizer
from motionmill.pipeline import TextToMotion
from motionmill.training.config import TrainingConfig
from motionmill.training.loop import train

SMALL = RankerConfig(text_width=16, width=16, embedding=8, num_queries=2, dropout=0.0)
UNIT = Normalizer(torch.zeros(272).double(), torch.ones(272).double())


class Words:
    """One fixed state a word."""

    width = 16

    def encode(self, texts: list[str]) -> list[torch.Tensor]:
        rows = []
        for text in texts:
            words = [hash_state(word) for word in text.split()] or [torch.zeros(16)]
            rows.append(torch.stack((torch.stack(words).mean(0), *words)))
        return rows


def hash_state(word: str) -> torch.Tensor:
    seed = int.from_bytes(word.encode()[:6].ljust(6, b"."))
    return torch.randn(16, generator=torch.Generator().manual_seed(seed))


def moving(hand: int, frames: int = 24) -> torch.Tensor:
    """Features in which one number of the left (0) or right (1) wrist swings."""
    features = torch.zeros(frames, 272)
    features[:, 8 + 3 * (20 + hand) + 1] = torch.linspace(0, 12, frames).sin() * 3
    return features


def test_it_learns_which_hand_a_caption_names(tmp_path: Path) -> None:
    examples = [
        Example(torch.arange(6), ("left hand up", "raise the left arm"), 1.0, "raise left"),
        Example(torch.arange(6), ("person walks",), 1.0, "walk"),
    ]
    still = torch.zeros(24, 272)
    states = TextStates(Words)
    states.add(["left hand up", "raise the left arm", "person walks"])
    states.add(["right hand up", "raise the right arm"])
    task = RankerTask(
        SMALL,
        RankerDataConfig(batch_size=8, noise=0.05, word_dropout=0.0),
        examples,
        examples,
        states,
        normalizer=UNIT,
        decoded=[moving(0), still],
        decoded_held_out=[moving(0), still],
    )
    config = TrainingConfig(steps=80, learning_rate=1e-2, precision="fp32", warmup_steps=5)
    model = train(task, config, tmp_path)
    assert isinstance(model, Ranker)
    ranker = TrainedRanker(model, UNIT)
    motions = [moving(1), moving(0), still]
    assert ranker.scores(states["left hand up"], motions).argmax() == 1
    assert ranker.scores(states["right hand up"], motions).argmax() == 0
    assert ranker.scores(states["person walks"], motions).argmax() == 2
    ranker.save(tmp_path / "ranker")
    again = TrainedRanker.load(tmp_path / "ranker", UNIT)
    scores = [one.scores(states["left hand up"], motions) for one in (ranker, again)]
    assert torch.equal(*scores)


def test_padding_changes_no_score() -> None:
    torch.manual_seed(0)
    model = Ranker(SMALL).eval()
    short, long = torch.randn(20, 272), torch.randn(44, 272)
    together = model.encode_motion(*pad_right([short, long]))
    alone = model.encode_motion(*pad_right([short]))
    assert torch.allclose(together[0], alone[0], atol=1e-6)


def test_what_is_wrong_for_a_caption() -> None:
    assert mirrored("bandai wave-left-hand active") == "bandai wave-right-hand active"
    examples = [
        Example(torch.arange(6), ("left hand up",), 1.0, "raise left"),
        Example(torch.arange(6), ("left hand up",), 1.0, "raise left"),
        Example(torch.arange(6), ("person walks",), 1.0, "walk"),
    ]
    states = TextStates(Words)
    states.add(["left hand up", "person walks"])
    still = [torch.zeros(8, 272)] * 3
    task = RankerTask(
        SMALL,
        RankerDataConfig(),
        examples,
        [],
        states,
        normalizer=UNIT,
        decoded=still,
        decoded_held_out=[],
    )
    captions = [example.captions[0] for example in examples]
    kinds = [example.kind for example in examples]
    wrong = task._pairs(captions, still, kinds, None).wrong
    assert wrong.tolist() == [
        [False, False, True, True, True, True],
        [False, False, True, True, True, True],
        [True, True, False, True, True, False],
    ]


def test_the_pipeline_keeps_the_best() -> None:
    pipeline = TextToMotion.from_pretrained(device="cpu")

    class Longest:
        """Likes long motions."""

        def scores(self, states: torch.Tensor, motions: list[torch.Tensor]) -> torch.Tensor:
            return torch.tensor([float(len(motion)) for motion in motions])

    release = dataclasses.replace(load_release("mini"), ranker=Longest())  # type: ignore[arg-type]
    choosing = TextToMotion(release, pipeline.encoder)
    drawn = pipeline.tokens(["a person waves"], [0], [7], candidates=1)[0]
    best = choosing.tokens(["a person waves"], [0], [7], candidates=4)[0]
    assert len(best) >= len(drawn)
    assert torch.equal(choosing.tokens(["a person waves"], [0], [7], candidates=1)[0], drawn)
    again = choosing.tokens(["a person bows", "a person waves"], [0, 0], [1, 7], candidates=4)[1]
    assert torch.equal(again, best)  # whatever else is in the batch
    with pytest.raises(ValueError, match="candidates"):
        choosing.tokens(["a person waves"], [0], [7], candidates=0)
