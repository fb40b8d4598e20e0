"""The shipped model as a system: lengths, seeds, clean-up, and nothing drawn twice."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from motionmill.evaluation.config import ProtocolConfig, protocol_config
from motionmill.evaluation.systems import FolderSystem, ModelSystem, System, open_system
from tests.evaluation.parts import sample_set

SAMPLES = sample_set(2, frames=40)
PROTOCOL = ProtocolConfig(min_frames=20, max_frames=80, pool_size=2)


def make(system: System, seed: int, variant: str) -> list[torch.Tensor]:
    made = system.make(SAMPLES, seed, variant, lambda done, total: None)
    assert all(motion is not None for motion in made)
    return [motion for motion in made if motion is not None]


def test_the_shipped_model(tmp_path: Path) -> None:
    system = open_system("mini", PROTOCOL, drawn=tmp_path)
    assert isinstance(system, ModelSystem)
    assert system.variants == ("matched", "free", "cleaned")
    first, other = make(system, 0, "matched"), make(system, 1, "matched")
    assert [len(motion) for motion in first] == [40, 40]
    assert not torch.equal(first[0], other[0])
    again = open_system("mini", PROTOCOL, drawn=tmp_path / "again", device="cpu")
    assert torch.equal(make(again, 0, "matched")[1], first[1])
    assert again.version == system.version

    def draw_nothing(*arguments: object) -> None:
        raise AssertionError("drawn twice")

    system._draw = draw_nothing  # type: ignore[method-assign, assignment]
    codes = system.codes(SAMPLES, 0, "matched")
    assert codes is not None
    assert (len(codes[0]), codes[1]) == (20, 1920)
    cleaned = make(system, 0, "cleaned")
    assert [motion.shape for motion in cleaned] == [motion.shape for motion in first]
    assert 0.001 < float((cleaned[0] - first[0]).abs().mean()) < 0.5
    with pytest.raises(AssertionError, match="drawn twice"):
        make(system, 0, "free")


def test_legacy_and_folders_have_no_cleaned_motions(tmp_path: Path) -> None:
    assert open_system("mini", protocol_config("legacy"), drawn=tmp_path).variants == ("matched",)
    torch.save({}, tmp_path / "x.npy")
    system = open_system(tmp_path, PROTOCOL, drawn=tmp_path)
    assert isinstance(system, FolderSystem)
    before = system.version
    (tmp_path / "x.npy").write_bytes(b"")
    assert open_system(tmp_path, PROTOCOL, drawn=tmp_path).version != before
