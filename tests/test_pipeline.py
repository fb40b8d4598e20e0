"""The shipped model: a prompt becomes a motion of the asked length on the floor; what cannot be made is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from motionmill.generator.release import find_release, load_release, shipped_models
from motionmill.generator.text import MiniLM, TextStates
from motionmill.motion import physics
from motionmill.pipeline import TextToMotion


@pytest.fixture(scope="module")
def pipeline() -> TextToMotion:
    return TextToMotion.from_pretrained(device="cpu")


def test_a_prompt_becomes_a_motion(pipeline: TextToMotion) -> None:
    motion = pipeline("a person walks forward", seconds=4, seed=1)
    assert len(motion) == 120
    assert motion.name == "a person walks forward"
    joints = motion.joints()
    assert joints.shape == (120, 22, 3)
    assert joints.isfinite().all()
    assert joints[-1, 0, 2] - joints[0, 0, 2] > 1.0  # metres ahead
    assert abs(physics.floor(motion)) < 0.02
    assert physics.floating(motion) < 10


def test_seed_and_batch(pipeline: TextToMotion) -> None:
    prompts = ["a person bows", "someone waves with the right hand", "a tired man runs"]
    together = pipeline.generate(prompts, seeds=[5, 6, 7], cleanup=0)
    alone = pipeline(prompts[1], seed=6, cleanup=0)
    assert torch.equal(together[1].rotations, alone.rotations)
    other = pipeline(prompts[1], seed=8, cleanup=0)
    assert len(other) != len(alone) or not torch.equal(other.rotations, alone.rotations)


@pytest.mark.parametrize("seconds", [0.5, 2.0, 9.9])
def test_lengths_are_met_to_one_token(pipeline: TextToMotion, seconds: float) -> None:
    assert pipeline("a person walks", seconds=seconds).seconds == pytest.approx(seconds, abs=4 / 30)


@pytest.mark.parametrize(
    ("prompt", "seconds", "word"),
    [
        ("  ", None, "empty"),
        ("walk " * 400, None, "characters"),
        ("walk", 0.0, "seconds"),
        ("walk", 1000.0, "seconds"),
        ("walk", float("nan"), "seconds"),
    ],
)
def test_what_cannot_be_made(
    pipeline: TextToMotion, prompt: str, seconds: float | None, word: str
) -> None:
    with pytest.raises(ValueError, match=word):
        pipeline(prompt, seconds=seconds)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(find_release("mini"), folder)
    assert load_release(folder).config.name == "mini"
    path = folder / "generator" / "model.safetensors"
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(bytes(damaged))
    with pytest.raises(ValueError, match="damaged"):
        load_release(folder)
    with pytest.raises(FileNotFoundError, match="mini"):
        load_release("nonsense")


def test_shipped_models_say_what_they_are() -> None:
    assert "mini" in shipped_models()
    for name in shipped_models():
        folder = find_release(name)
        card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
        config = load_release(folder).config
        assert config.licence in card
        assert config.name == name


def test_text_states_are_cached(tmp_path: Path) -> None:
    texts = ["a person walks", "", "someone jumps over a fence"]
    first = TextStates(MiniLM, tmp_path)
    first.add(texts)

    def fail() -> MiniLM:
        raise AssertionError("encoded twice")

    second = TextStates(fail, tmp_path)
    second.add(reversed(texts[1:]))  # whatever else is asked for, in whatever order
    second.add(texts)
    for text in texts:
        assert torch.equal(first[text], second[text])
    exact = MiniLM().encode(texts)
    assert (first[texts[0]] - exact[0]).abs().max() < 0.1  # kept as float16, encoded in bfloat16
