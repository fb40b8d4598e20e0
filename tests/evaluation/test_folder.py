"""Folders of other systems: every format, wrong files listed, frame rates resampled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import motionmill
from motionmill.evaluation.config import ProtocolConfig
from motionmill.evaluation.evaluate import evaluate
from motionmill.evaluation.folder import MotionFolder
from motionmill.evaluation.systems import FolderSystem
from motionmill.motion.features import to_motion
from tests.evaluation.parts import instruments, sample_set

SAMPLES = sample_set(40)


def test_files_of_every_kind_and_of_none(tmp_path: Path) -> None:
    for sample, suffix in zip(SAMPLES, (".bvh", ".npz", ".npy", ".glb"), strict=False):
        path = tmp_path / f"{sample.id}{suffix}"
        path.parent.mkdir(exist_ok=True)
        motionmill.save(to_motion(sample.features), path)
    joints = to_motion(SAMPLES[4].features).resample(20).joints().numpy()
    np.save(tmp_path / f"{SAMPLES[4].id}.npy", joints.astype(np.float32))
    np.save(tmp_path / f"{SAMPLES[5].id}.npy", np.full((60, 272), np.nan, np.float32))
    np.save(tmp_path / f"{SAMPLES[6].id}.npy", np.zeros((60, 17, 3), np.float32))
    (tmp_path / f"{SAMPLES[7].id}.bvh").write_text("")
    np.save(tmp_path / f"{SAMPLES[8].id}.npy", np.zeros((0, 272), np.float32))
    (tmp_path / f"{SAMPLES[9].id}.npy").write_bytes(b"")

    folder = MotionFolder(tmp_path)
    assert folder.seeds == 1
    for sample in SAMPLES[:4]:
        features = folder.features(sample.id, 0)
        assert features is not None
        assert abs(len(features) - len(sample.features)) <= 1
    resampled = folder.features(SAMPLES[4].id, 0)
    assert resampled is not None
    assert abs(len(resampled) - len(SAMPLES[4].features)) <= 2
    for sample in SAMPLES[5:10]:
        assert folder.features(sample.id, 0) is None
    assert set(folder.failures) == {f"0/{sample.id}" for sample in SAMPLES[5:10]}
    assert "0 frames at 30 fps; expected 4 or more" in folder.failures[f"0/{SAMPLES[8].id}"]
    assert not folder.holds_positions
    assert folder.features("set/999", 0) is None
    assert folder.failures["0/set/999"] == "no file"


def test_a_folder_is_measured_with_its_coverage(tmp_path: Path) -> None:
    for seed in (0, 1):
        for sample in SAMPLES[: 36 - seed]:
            path = tmp_path / "motions" / str(seed) / f"{sample.id}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, sample.features.numpy())
    system = FolderSystem(MotionFolder(tmp_path / "motions"))
    protocol = ProtocolConfig(seeds=20, pool_size=32)
    results = evaluate(system, SAMPLES, instruments(SAMPLES), protocol, tmp_path / "results")
    assert results.facts["seeds"] == 2
    assert results.facts["coverage"] == (36 + 35) / 80
    assert len(results.facts["failures"]) == 4 + 5
    assert results.rows["as given"]["r_at_1"] == [1.0, 1.0]
    assert "reconstructed" not in results.rows


def test_bad_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such folder"):
        MotionFolder(tmp_path / "none")
    with pytest.raises(ValueError, match=r"no motion files; expected SEED/ID\.bvh"):
        MotionFolder(tmp_path)
    (tmp_path / "fps.txt").write_text("fast")
    with pytest.raises(ValueError, match="'fast'; expected frames per second"):
        MotionFolder(tmp_path)


def test_what_positions_lose_stands_beside_them(tmp_path: Path) -> None:
    """Real motion as joint positions is as far from real motion as its own reference row, and no farther."""
    for sample in SAMPLES:
        joints = to_motion(sample.features).resample(20).joints().numpy()
        path = tmp_path / "motions" / f"{sample.id}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, joints)
    folder = MotionFolder(tmp_path / "motions")
    assert folder.holds_positions
    results = evaluate(
        FolderSystem(folder), SAMPLES, instruments(SAMPLES), ProtocolConfig(), tmp_path / "results"
    )
    assert results.rows["as given"]["fid_real"] == results.rows["reconstructed"]["fid_real"]
    assert results.rows["as given"]["fid_reconstructed"] == pytest.approx([0.0], abs=1e-6)
    assert results.rows["reconstructed"]["mpjpe_mm"][0] < 30


def test_a_folder_without_any_of_the_samples_is_refused(tmp_path: Path) -> None:
    (tmp_path / "motions").mkdir()
    np.save(tmp_path / "motions" / "other.npy", SAMPLES[0].features.numpy())
    system = FolderSystem(MotionFolder(tmp_path / "motions"))
    with pytest.raises(ValueError, match=r"no motion for any of 40 samples; .* no file"):
        evaluate(system, SAMPLES, instruments(SAMPLES), ProtocolConfig(), tmp_path / "results")
