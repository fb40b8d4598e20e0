"""Layouts: our clips as folders that the readers of MotionMillion and HumanML3D read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from motionmill.data.clip import Clip
from motionmill.data.layouts import LISTS, write_humanml3d, write_motionmillion
from motionmill.data.wording.parts_of_speech import tagged
from motionmill.formats.humanml3d import load_humanml3d
from motionmill.formats.motionmillion import load_motionmillion
from motionmill.motion.features import from_motion
from tests.motions import wandering


def clip(name: str, seed: int = 1) -> Clip:
    features = from_motion(wandering(seed, 40)).float()
    captions = ("A person walks  left.", "someone raises the right hand")
    return Clip(name, features, captions, "s", "CC0", True, name)


SPLITS = {"s/a": "train", "s/b@20": "test", "s/c": "test_pairs"}
CLIPS = [clip(name, seed) for seed, name in enumerate([*SPLITS, "in no split"])]


def test_motionmillion(tmp_path: Path) -> None:
    assert write_motionmillion(iter(CLIPS), SPLITS, tmp_path) == 3
    found = {one.name: one for one in load_motionmillion(tmp_path)}
    assert sorted(found) == ["s/a", "s/b_20", "s/c"]
    stored = np.load(tmp_path / "motion_data/vector_272/s/b_20.npy")
    assert np.array_equal(stored, CLIPS[1].features.numpy())
    assert (tmp_path / "texts/s/a.txt").read_text().splitlines() == [
        "A person walks left.",
        "someone raises the right hand",
    ]
    assert (tmp_path / LISTS / "test.txt").read_text() == "s/b_20\n"
    assert len((tmp_path / LISTS / "all.txt").read_text().split()) == 3
    mean = np.load(tmp_path / "mean_std/vector_272/mean.npy")
    assert np.allclose(mean, CLIPS[0].features.double().mean(dim=0).numpy(), atol=1e-5)
    assert [one.name for one in load_motionmillion(tmp_path, split="train")] == ["s/a"]


def test_humanml3d(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert write_humanml3d(iter(CLIPS), SPLITS, tmp_path) == 3
    assert "OTHER" not in caplog.text
    (one,) = load_humanml3d(tmp_path, split="test")
    assert one.name == "s/b_20"
    assert np.load(tmp_path / "new_joint_vecs/s/b_20.npy").shape[1] == 263
    assert (tmp_path / "texts/s/a.txt").read_text().splitlines() == [
        "A person walks left.#a/DET person/NOUN walk/VERB left/ADJ#0.0#0.0",
        "someone raises the right hand#someone/PRON raise/VERB the/DET right/ADJ hand/NOUN#0.0#0.0",
    ]
    assert (tmp_path / "test_pairs.txt").read_text() == "s/c\n"


def test_names_that_meet_and_empty_sets_are_told(tmp_path: Path) -> None:
    twins = [clip("a b"), clip("a@b")]
    splits = {"a b": "train", "a@b": "train"}
    for write in (write_motionmillion, write_humanml3d):
        with pytest.raises(ValueError, match="would both be the file 'a_b'"):
            write(twins, splits, tmp_path / "twins")
        with pytest.raises(ValueError, match="no clips to write"):
            write(twins, {}, tmp_path / "none")
    evil = clip("../../evil")
    write_motionmillion([evil], {evil.id: "train"}, tmp_path / "set")
    assert not (tmp_path.parent / "evil.npy").exists()
    assert (tmp_path / "set/motion_data/vector_272/_/_/evil.npy").is_file()
    assert torch.equal(evil.features, torch.from_numpy(np.load(next(tmp_path.rglob("evil.npy")))))


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("A person walks to the left.", "a/DET person/NOUN walk/VERB to/ADP the/DET left/NOUN"),
        (
            "the man's hands waved, then he jogged",
            "the/DET man/NOUN hand/NOUN wave/VERB then/ADV he/PRON jog/VERB",
        ),
        ("she is doing a slow walk", "she/PRON is/AUX do/VERB a/DET slow/ADJ walk/NOUN"),
        ("begins to bow twice", "begin/VERB to/PART bow/VERB twice/ADV"),
        ("he carried two boxes", "he/PRON carry/VERB two/NUM box/NOUN"),
        ("an empty, 3rd word!", "an/DET empty/NOUN rd/NOUN word/NOUN"),
        ("", ""),
    ],
)
def test_parts_of_speech(caption: str, expected: str) -> None:
    assert tagged(caption) == expected
