"""Training on packs: token files, epochs, what is drawn; the same packs whoever asks, and whenever."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from motionmill.generator.config import (
    GeneratorConfig,
    GeneratorDataConfig,
    GeneratorRunConfig,
    PackingConfig,
)
from motionmill.generator.packed_task import PackedTask
from motionmill.generator.store import Shard, examples_of, open_store
from motionmill.generator.text_states import TextStates
from motionmill.motion.features import Normalizer
from motionmill.tokenizer.config import TokenizerConfig
from motionmill.tokenizer.encode import MotionCodec
from motionmill.tokenizer.model import Tokenizer
from motionmill.training.config import TrainingConfig
from motionmill.training.loop import train
from motionmill.training.processes import Processes
from tests.data.test_loader import make_dataset
from tests.generator.test_text_states import Counting


class Letters(Counting):
    """A state for each letter, and one before them."""

    def encode(self, texts: Sequence[str]) -> list[torch.Tensor]:
        self.seen += texts
        return [torch.full((1 + len(text), 4), float(len(text))) for text in texts]


ALONE = Processes(0, 1, torch.device("cpu"))
PLAIN = GeneratorDataConfig(
    start_offsets=(0, 1),
    text_dropout=0.0,
    word_dropout=0.0,
    pooled_only=0.0,
    token_noise=0.0,
    duration_dropout=0.0,
)
MODEL = GeneratorConfig(
    num_codes=40, num_layers=1, num_heads=2, width=16, text_width=4, max_tokens=8, max_text=40
)


@pytest.fixture(scope="module")
def codec() -> MotionCodec:
    torch.manual_seed(0)
    config = TokenizerConfig(width=16, code_width=8, levels=(8, 5), num_downsamples=1, depth=1)
    return MotionCodec(Tokenizer(config).eval(), Normalizer(torch.zeros(272), torch.ones(272)))


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return make_dataset(tmp_path / "dataset")


def stored(
    dataset: Path, codec: MotionCodec, data: GeneratorDataConfig = PLAIN
) -> tuple[list[Shard], TextStates]:
    states = TextStates(Letters, dataset / "states")
    shards = open_store(dataset, codec, data, "train", ALONE, states=states)
    states.add(["", "a"])
    return shards, states


def make_task(
    shards: list[Shard], states: TextStates, data: GeneratorDataConfig = PLAIN, **others: object
) -> PackedTask:
    packing = PackingConfig(enabled=True, states=128, crop=float(others.pop("crop", 0.0)))  # type: ignore[arg-type]
    model = MODEL.model_copy(update=others)
    return PackedTask(model, data, packing, shards, examples_of(shards, 8, 3), states, seed=5)


def test_token_files_hold_every_view(dataset: Path, codec: MotionCodec) -> None:
    shards, _ = stored(dataset, codec)
    assert [len(shard.views) - 1 for shard in shards] == [4, 2, 3]
    shard = shards[0]
    assert (np.diff(shard.views) == 4).all()  # mirrored or not, from two starts
    assert shard.clip_id(2) == "s/0-2"
    first, last = shard.captions[0]
    assert {shard.text(row) for row in range(first, last)} == {
        "a person does s/0-0",
        "a person moves the left hand",
    }
    mirrored = {shard.text(row) for row in range(*shard.captions[2])}
    assert "a person moves the right hand" in mirrored
    assert shard.code_start[1] == 10  # 20 frames, two a token
    assert isinstance(shard.codes, np.memmap)
    before = {path: path.stat().st_mtime_ns for path in dataset.rglob("tokens/*/*")}
    stored(dataset, codec)
    assert before == {path: path.stat().st_mtime_ns for path in dataset.rglob("tokens/*/*")}


def test_every_clip_once_an_epoch_and_packs_that_are_full(
    dataset: Path, codec: MotionCodec
) -> None:
    task = make_task(*stored(dataset, codec))
    epochs: list[list[str]] = [[], []]
    number = 0
    for epoch in epochs:
        while len(epoch) < 9:
            pack = task._pack(number)
            assert int((pack.samples >= 0).sum()) <= 128
            epoch += pack.clips
            number += 1
    assert sorted(epochs[0]) == sorted(epochs[1])
    assert len(set(epochs[0])) == 9
    assert epochs[0] != epochs[1]


def test_packs_depend_on_their_number_alone(dataset: Path, codec: MotionCodec) -> None:
    shards, states = stored(dataset, codec)
    data = PLAIN.model_copy(update={"token_noise": 0.3, "word_dropout": 0.3, "text_dropout": 0.3})
    one, two = (make_task(shards, states, data, crop=0.5) for _ in range(2))
    stream = one.batches(0)
    in_turn = [next(stream) for _ in range(9)]
    second = two.batches(1, 3)
    for expected in in_turn[1::3]:
        made = next(second)
        assert all(
            torch.equal(x, y) if isinstance(x, torch.Tensor) else x == y
            for x, y in zip(expected, made, strict=True)
        )


def test_what_a_recipe_can_ask_for(dataset: Path, codec: MotionCodec) -> None:
    shards, states = stored(dataset, codec)
    plain = make_task(shards, states)._pack(0)
    assert bool((plain.durations == plain.lengths).all())
    assert int(plain.lengths.max()) == 8  # longer clips are cut at token boundaries
    inputs = plain.tokens[~plain.prefix & (plain.samples >= 0)]
    assert torch.equal(inputs, plain.targets[plain.targets != MODEL.end])
    noisy = make_task(shards, states, PLAIN.model_copy(update={"token_noise": 0.5}))._pack(0)
    inputs = noisy.tokens[~noisy.prefix & (noisy.samples >= 0)]
    share = (inputs == noisy.targets[noisy.targets != MODEL.end]).float().mean()
    assert 0.3 < share < 0.75
    bare = make_task(shards, states, PLAIN.model_copy(update={"text_dropout": 0.999}))._pack(0)
    assert len(bare.text) == len(bare.lengths)  # the one state of no text
    cropped = make_task(shards, states, crop=1.0)._pack(0)
    assert int(cropped.lengths.max()) == 7
    weighed = PLAIN.model_copy(update={"source_weights": {"s": 2.0}})
    twice = make_task(*stored(dataset, codec, weighed), weighed)
    assert len(twice._epochs.epoch(0).draws) == 18


def test_states_on_the_fly_are_those_that_are_stored(dataset: Path, codec: MotionCodec) -> None:
    shards, states = stored(dataset, codec)
    encoder = Letters()
    packing = PackingConfig(enabled=True, states=128)
    fly = PackedTask(MODEL, PLAIN, packing, shards, [], states, encoder=lambda: encoder, seed=5)
    made, expected = fly._pack(0), make_task(shards, states)._pack(0)
    assert encoder.seen
    assert len(encoder.seen) == len(set(encoder.seen))
    assert set(made.clips) & set(expected.clips)
    widths = {float(row[0]) for row in made.text}
    assert widths <= {float(len(text)) for text in encoder.seen}


def test_a_packed_run(dataset: Path, codec: MotionCodec, tmp_path: Path) -> None:
    task = make_task(*stored(dataset, codec), length_head=True)
    config = TrainingConfig(
        steps=30,
        learning_rate=1e-2,
        warmup_steps=2,
        log_every=5,
        micro_batches=2,
        evaluate_every=15,
    )
    before = task.evaluate(task.model)["cross_entropy"]
    model = train(task, config, tmp_path)
    assert task.evaluate(model)["cross_entropy"] < 0.9 * before


def test_recipes_that_make_no_sense() -> None:
    packing = {"enabled": True, "states": 100}
    with pytest.raises(ValueError, match="the longest sample has 140"):
        GeneratorRunConfig.model_validate({"packing": packing})
    with pytest.raises(ValueError, match="on_the_fly without packing"):
        GeneratorRunConfig.model_validate({"text": {"on_the_fly": True}})
    with pytest.raises(ValueError, match=r"without text\.path"):
        GeneratorRunConfig.model_validate({"text": {"encoder": "t5"}})
