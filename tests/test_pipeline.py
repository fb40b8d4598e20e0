"""The shipped model: a prompt becomes a motion of the asked length on the floor; what cannot be made is refused."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from motionmill.generator.release import find_release, load_release, shipped_models
from motionmill.generator.text import MiniLM
from motionmill.generator.text_states import TextStates
from motionmill.motion import physics
from motionmill.motion.motion import Motion
from motionmill.motion.rotations import yaw_matrix
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
        ("walk " * 4000, None, "characters"),
        ("walk \udcff", None, "Unicode"),
        ("walk", 0.0, "seconds"),
        ("walk", 1000.0, "seconds"),
        ("walk", float("nan"), "seconds"),
        ("walk", -3.0, "seconds"),
        ("walk", 10**400, "seconds"),
        ("walk", "3", "expected a number"),
        ("walk", True, "expected a number"),
        (None, None, "type NoneType; expected text"),
        (b"walk", None, "type bytes; expected text"),
        (["walk"], None, "type list; expected text"),
    ],
)
def test_what_cannot_be_made(pipeline: TextToMotion, prompt: Any, seconds: Any, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        pipeline(prompt, seconds=seconds)


def test_one_text_is_no_list_of_texts(pipeline: TextToMotion) -> None:
    with pytest.raises(ValueError, match="expected a list of texts"):
        pipeline.generate("a person walks")


def test_a_prompt_that_is_too_long_is_cut_and_quoted(
    pipeline: TextToMotion, caplog: pytest.LogCaptureFixture
) -> None:
    start = "a person walks forward" + ", then stops and looks around" * 12
    long = start + ", and at the very end waves goodbye"
    motion = pipeline(long, seconds=1, cleanup=0)
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().endswith("and at the very end waves goodbye'")
    assert "walks forward" not in record.getMessage()
    assert motion.rotations.equal(pipeline(start, seconds=1, cleanup=0).rotations)
    assert motion.name == long


def test_the_text_encoder_can_be_let_go(pipeline: TextToMotion, tmp_path: Path) -> None:
    first = TextToMotion.from_pretrained(device="cpu", text_device="cpu", text_cache=tmp_path)
    assert not first.encoder.loaded
    made = first("a person waves", seconds=1)
    assert first.encoder.loaded
    first.unload_encoder()
    assert first("a person waves", seconds=1).rotations.equal(made.rotations)
    assert not first.encoder.loaded  # what it has read stays known
    again = TextToMotion.from_pretrained(device="cpu", text_cache=tmp_path)
    assert again("a person waves", seconds=1).rotations.equal(made.rotations)
    assert not again.encoder.loaded
    assert pipeline("a person waves", seconds=1).rotations.equal(made.rotations)
    again("a person sits down", seconds=1)
    assert again.encoder.loaded


def test_least_and_most_seconds(pipeline: TextToMotion) -> None:
    own = pipeline.release.config.sampling
    short = own.changed({"max_seconds": 1.0})
    long = own.changed({"min_seconds": 8.0, "max_seconds": 9.0})
    assert pipeline("a person bows", sampling=short, cleanup=0).seconds <= 1.0 + 4 / 30
    assert 8 - 4 / 30 <= pipeline("a person bows", sampling=long, cleanup=0).seconds <= 9 + 4 / 30


def test_longer_than_the_model_sees_at_once(pipeline: TextToMotion) -> None:
    motion = pipeline("a person walks forward", seconds=25, seed=3)
    assert motion.seconds == pytest.approx(25, abs=4 / 30)
    speed = motion.joints().diff(dim=0).norm(dim=-1).amax(dim=-1)
    assert speed.max() < 0.35  # metres a frame: no jump where the context slides


def test_one_thing_after_another(pipeline: TextToMotion) -> None:
    motion = pipeline.timeline(
        [("a person walks forward", 3.0), ("a person raises both hands", 2.0)], seed=1
    )
    assert motion.seconds == pytest.approx(5.0, abs=8 / 30)
    joints = motion.joints()
    assert joints.diff(dim=0).norm(dim=-1).max() < 0.35
    assert joints[80, 0, 2] > 1.0
    over_head = (joints[:, [20, 21], 1] > joints[:, 15:16, 1]).all(dim=-1)  # both wrists
    assert not over_head[:85].any()
    assert over_head[90:].any()
    assert pipeline.timeline([("a person walks forward", 3.0)], seed=1).rotations.equal(
        pipeline("a person walks forward", seconds=3.0, seed=1).rotations
    )
    with pytest.raises(ValueError, match="empty timeline"):
        pipeline.timeline([])


def test_a_given_motion_goes_on(pipeline: TextToMotion) -> None:
    turn = yaw_matrix(torch.tensor(1.0, dtype=torch.float64))
    given = pipeline("a person walks forward", seconds=2, seed=1, cleanup=0).transformed(
        turn, torch.tensor([3.0, 0.0, -2.0], dtype=torch.float64)
    )
    longer = pipeline.extend(given, "a person waves with the right hand", seconds=2, cleanup=0)
    assert longer.seconds == pytest.approx(4.0, abs=8 / 30)
    before = (longer[slice(0, 50)].joints() - given[slice(0, 50)].joints()).norm(dim=-1)
    assert before.max() < 0.02
    assert longer.joints().diff(dim=0).norm(dim=-1).max() < 0.35
    with pytest.raises(ValueError, match="at least 4"):
        pipeline.extend(given[slice(0, 2)], "a person waves")


def test_a_stream_is_the_motion_in_pieces(pipeline: TextToMotion) -> None:
    pieces = list(pipeline.stream("a person jumps", seconds=3, seed=2))
    assert len(pieces) > 10
    whole = pipeline("a person jumps", seconds=3, seed=2, candidates=1, cleanup=0)
    rotations = torch.cat([piece.rotations for piece in pieces])
    assert torch.allclose(rotations, whole.rotations, atol=1e-4)
    root = torch.cat([piece.root for piece in pieces])
    assert (root - whole.root).abs().max() < 0.2  # the body's size is known better at the end
    assert root.diff(dim=0).norm(dim=-1).max() < 0.3


def test_the_best_of_several(pipeline: TextToMotion) -> None:
    def far(prompt: str, motion: Motion) -> float:
        return float((motion.root[-1] - motion.root[0]).norm())

    best = pipeline.best("a person walks", far, count=3, seconds=2)
    others = pipeline.generate(["a person walks"] * 3, seconds=2, candidates=1)
    assert far("", best) == max(far("", motion) for motion in others)


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
    shutil.copy(find_release("mini") / "generator" / path.name, path)
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        whole = path.read_bytes()
        path.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
        with pytest.raises((ValueError, FileNotFoundError), match=path.name):
            load_release(folder)
        path.write_bytes(whole)
    sums = folder / "SHA256SUMS"
    lines = sums.read_text().splitlines(keepends=True)
    sums.write_text("".join(line for line in lines if "model.safetensors" not in line))
    with pytest.raises(ValueError, match=r"model.safetensors: not named in"):
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
