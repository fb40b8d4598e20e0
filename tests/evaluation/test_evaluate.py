"""Tables of the evaluation: what is better comes out better, floors are floors, and nothing is measured twice."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from motionmill.evaluation.config import ProtocolConfig, protocol_config
from motionmill.evaluation.evaluate import evaluate
from motionmill.evaluation.protocol import sample_set_hash, samples_of
from motionmill.evaluation.results import Interval, Results, check_comparable, markdown
from tests.evaluation.parts import KnownSystem, data_set, instruments, sample_set

PROTOCOL = ProtocolConfig(seeds=3, diversity_pairs=30)
SAMPLES = sample_set()


def measured(folder: Path, noise: float, *, missing: int = 0) -> Results:
    system = KnownSystem(noise, missing=missing)
    return evaluate(system, SAMPLES, instruments(SAMPLES), PROTOCOL, folder)


def mean(results: Results, row: str, metric: str) -> float:
    interval = results.interval(row, metric)
    assert interval is not None
    return interval.mean


def test_reference_rows_and_floors(tmp_path: Path) -> None:
    results = measured(tmp_path, 0.05)
    assert mean(results, "real", "r_at_1") == 1.0
    assert mean(results, "real", "mm_distance") == pytest.approx(0.0, abs=1e-5)
    assert mean(results, "reconstructed", "r_at_1") == 1.0
    for floor in ("real, captions shuffled", "real, random texts"):
        assert mean(results, floor, "r_at_3") < 0.25
        assert mean(results, floor, "mm_distance") > mean(results, "length matched", "mm_distance")
    assert results.rows["length matched"]["content"] == [100.0] * 3
    assert results.rows["length matched"]["style"] == pytest.approx([100 * 32 / 48] * 3)
    assert len(results.rows["length matched"]["multimodality"]) == 3


def test_metrics_fall_with_the_strength_of_the_damage(tmp_path: Path) -> None:
    runs = [measured(tmp_path / str(noise), noise) for noise in (0.02, 0.1, 0.5)]
    for metric, sign in (("r_at_1", -1), ("mm_distance", 1), ("fid_real", 1), ("multimodality", 1)):
        values = [sign * mean(run, "length matched", metric) for run in runs]
        assert values == sorted(values), metric


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    first = measured(tmp_path, 0.1)
    (tmp_path / "measured" / "matched-1.safetensors").unlink()
    system = KnownSystem(0.1)
    again = evaluate(system, SAMPLES, instruments(SAMPLES), PROTOCOL, tmp_path)
    assert system.asked == [(1, "matched")]
    assert again.rows == first.rows


def test_a_folder_of_another_run_is_refused(tmp_path: Path) -> None:
    measured(tmp_path, 0.1)
    with pytest.raises(
        ValueError, match=r'system "noise-0\.1", this is "noise-0\.2"; choose another folder'
    ):
        measured(tmp_path, 0.2)
    retrained = KnownSystem(0.1)
    retrained.version = "of today"
    with pytest.raises(ValueError, match='version "", this is "of today"'):
        evaluate(retrained, SAMPLES, instruments(SAMPLES), PROTOCOL, tmp_path)


def test_what_failed_is_told_again_by_a_run_that_goes_on(tmp_path: Path) -> None:
    system = KnownSystem(0.05, missing=2)
    system.failures = {"0/set/000": "no file", "0/set/001": "no file"}
    first = evaluate(system, SAMPLES, instruments(SAMPLES), PROTOCOL, tmp_path)
    assert first.facts["failures"] == system.failures
    again = measured(tmp_path, 0.05, missing=2)
    assert again.facts["failures"] == first.facts["failures"]


def test_what_a_system_lacks_counts_against_its_coverage(tmp_path: Path) -> None:
    results = measured(tmp_path, 0.05, missing=16)
    assert results.facts["coverage"] == 0.75
    assert mean(results, "length matched", "r_at_1") > 0.9
    assert "multimodality" not in results.rows["length matched"]


def test_results_are_kept_and_compared(tmp_path: Path) -> None:
    first, second = measured(tmp_path / "a", 0.05), measured(tmp_path / "b", 0.3)
    loaded = Results.load(tmp_path / "a")
    assert loaded.rows == first.rows
    table = markdown([loaded, second])
    assert table.count("| real |") == 2  # of two tables
    assert "| noise-0.05: length matched |" in table
    assert "| noise-0.3: length matched |" in table
    other = Results(second.system, {**second.facts, "evaluator": "another"}, second.rows)
    with pytest.raises(ValueError, match='evaluator "known" and "another"'):
        check_comparable([first, other])
    protocol = {**second.facts["protocol"], "seeds": 20, "max_frames": 200, "name": "legacy"}
    other = Results(second.system, {**second.facts, "protocol": protocol}, second.rows)
    with pytest.raises(
        ValueError, match='compare: protocol "v2" and "legacy", protocol max_frames 300 and 200; m'
    ):
        check_comparable([first, other])
    more = {**second.facts["protocol"], "seeds": 20, "free_length": False}
    check_comparable([first, Results("more", {**second.facts, "protocol": more}, second.rows)])
    (tmp_path / "a" / "results.json").write_text("{}")
    with pytest.raises(ValueError, match="expected results of"):
        Results.load(tmp_path / "a")
    with pytest.raises(FileNotFoundError, match="motionmill evaluate"):
        Results.load(tmp_path / "none")


def test_intervals_cover_the_truth() -> None:
    """95 % intervals of 5 normal values hold the mean in about 95 % of 2,000 draws."""
    draws = torch.randn(2000, 5, generator=torch.Generator().manual_seed(0)).tolist()
    held = sum(i.low <= 0 <= i.high for i in map(Interval.of, draws)) / 2000
    assert 0.935 < held < 0.965
    assert Interval.of([2.0]) == (2.0, 2.0, 2.0)


def test_samples_are_fixed_by_their_ids(tmp_path: Path) -> None:
    data = data_set(tmp_path / "data", SAMPLES)
    first = samples_of(data, PROTOCOL)
    assert sample_set_hash(first) == sample_set_hash(samples_of(data, PROTOCOL))
    assert {sample.text for sample in first} <= {
        text for s in SAMPLES for text in (s.text, f"another {s.text}")
    }
    some = samples_of(data, PROTOCOL.model_copy(update={"max_clips": 40}))
    assert [sample.id for sample in some] == [sample.id for sample in first][:40]
    with pytest.raises(ValueError, match="at least one pool of 32"):
        samples_of(data, PROTOCOL.model_copy(update={"max_clips": 20}))


def test_legacy_cuts_as_the_official_code_does(tmp_path: Path) -> None:
    data = data_set(tmp_path / "data", SAMPLES)
    legacy = protocol_config("legacy")
    assert (legacy.seeds, legacy.max_frames, legacy.free_length) == (1, 200, False)
    samples = samples_of(data, legacy)
    lengths = [len(sample.features) for sample in samples]
    assert all(length % 4 == 0 for length in lengths)
    whole = {sample.id: len(sample.features) // 4 * 4 for sample in SAMPLES}
    shorter = sum(len(s.features) == whole[s.id] - 4 for s in samples)
    assert shorter + sum(len(s.features) == whole[s.id] for s in samples) == len(samples)
    assert 8 < shorter < 40  # a third of 64


def test_protocols_with_bad_values_are_named() -> None:
    with pytest.raises(ValueError, match="seeds"):
        protocol_config("v2", seeds=0)
    with pytest.raises(ValueError, match="min_frames 400 above max_frames 300"):
        protocol_config("v2", min_frames=400)
