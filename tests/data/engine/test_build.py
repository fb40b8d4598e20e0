"""Motion capture through the engine: shards, leak-free splits, rejects with reasons, resuming, growth, the card."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from motionmill.cli import main
from motionmill.data.clip import Clip
from motionmill.data.config import DataConfig, ReadConfig, UnitConfig
from motionmill.data.engine.build import build
from motionmill.data.engine.pack import read_rejects
from motionmill.data.engine.sources import find_inputs, recordings
from motionmill.data.export import export
from motionmill.data.folder import Folder
from motionmill.data.loader import load_clips
from motionmill.data.quality_config import CutConfig, MotionFilterConfig
from motionmill.data.shards import read_shard, write_shard
from motionmill.data.statistics import Moments, moments_of
from tests.data.drive import config as drive_config
from tests.data.drive import contents, make_inputs, people, run

CONFIG = DataConfig(
    units=UnitConfig(recordings=12),
    motion=MotionFilterConfig(max_frames=240),
    cut=CutConfig(max_frames=240, window_frames=160, cut_at="equal parts"),
)


def subset(shared: Path, name: str, count: int, folder: Path) -> Path:
    """A folder of packed shards with the first clips of a real one."""
    source, target = shared / "data" / name, folder / name
    target.mkdir(parents=True)
    lines = (source / "manifest.jsonl").read_text(encoding="utf-8").splitlines()[:count]
    (target / "manifest.jsonl").write_text("\n".join(lines), encoding="utf-8")
    for file in {json.loads(line)["shard"] for line in lines} | {"skeletons.json"}:
        shutil.copyfile(source / file, target / file)
    return target


@pytest.fixture(scope="module")
def inputs(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("data")
    return [subset(shared, "game_cc0", 24, folder), shared / "data" / "originals" / "bandai"]


@pytest.fixture(scope="module")
def dataset(inputs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("built") / "dataset"
    build(inputs, output, CONFIG)
    return output


def test_every_recording_is_a_clip_or_a_reject(dataset: Path, inputs: list[Path]) -> None:
    clips = [clip for part in load_clips(dataset).values() for clip in part]
    rejects = list(read_rejects(dataset))
    assert not {clip.id for clip in clips} & {reject.id for reject in rejects}
    seen = {clip.provenance["recording"] for clip in clips}
    seen |= {reject.id.split("@")[0] for reject in rejects}
    found = find_inputs(inputs, ReadConfig())
    assert seen == {take.id for one in found for take in recordings(one, ReadConfig())}
    assert all(reject.stage and reject.reason for reject in rejects)
    for clip in clips:
        assert CONFIG.motion.min_frames <= len(clip) <= CONFIG.motion.max_frames
        assert clip.captions
        assert clip.features.isfinite().all()
        assert clip.licence or clip.source == "bandai"
        assert clip.measurements["jitter"] <= CONFIG.motion.max_jitter


def test_licences_travel(shared: Path) -> None:
    commercial = {}
    for name in ("bandai", "game_cc0", "extra", "uiprmd"):
        (one,) = find_inputs([shared / "data" / name], ReadConfig())
        commercial[name] = {take.commercial for take in recordings(one, ReadConfig())}
    assert commercial == {
        "bandai": {False},
        "game_cc0": {True},
        "extra": {True, False},
        "uiprmd": {True},
    }


def test_a_build_goes_on_where_it_stopped(
    dataset: Path, inputs: list[Path], tmp_path: Path
) -> None:
    again = tmp_path / "dataset"
    shutil.copytree(dataset, again)
    first, *others = sorted((again / "candidates").glob("*.parquet"))
    first.unlink()
    before = {path: path.stat().st_mtime_ns for path in others}
    calls: list[tuple[str, int, int]] = []
    build(inputs, again, CONFIG, progress=lambda *told: calls.append(told))
    assert ("measure", 0, 1) in calls
    assert {path: path.stat().st_mtime_ns for path in others} == before
    assert contents(again) == contents(dataset)
    changed = CONFIG.model_copy(update={"cut": CutConfig(max_frames=100)})
    with pytest.raises(ValueError, match="other settings of cut"):
        build(inputs, again, changed)


def test_the_card_adds_up(dataset: Path) -> None:
    text = (dataset / "README.md").read_text(encoding="utf-8")
    rows = [
        [float(cell) for cell in line.split("|")[2:-1]]
        for line in text.splitlines()
        if line.startswith(("| game_cc0 |", "| bandai |", "| all |")) and line.count("|") > 9
    ]
    assert len(rows) == 3
    for candidates, rejected, waiting, kept, *splits, _ in rows:
        assert candidates == rejected + waiting + kept
        assert kept == sum(splits)
    assert [sum(column[:2]) for column in zip(*rows, strict=True)][:9] == rows[2][:9]
    left_out = sum(1 for _ in read_rejects(dataset))
    assert rows[2][1] == left_out
    for words in ("CC BY-NC 4.0" if "CC BY-NC" in text else "CC0", "## Examples", "## Thresholds"):
        assert words in text


def test_statistics_are_those_of_train(dataset: Path) -> None:
    from safetensors.torch import load_file

    train = torch.cat([clip.features.double() for clip in load_clips(dataset)["train"]])
    found = load_file(dataset / "statistics.safetensors")
    torch.testing.assert_close(found["mean"].double(), train.mean(0), atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(
        found["std"].double(), train.std(0, correction=0), atol=1e-6, rtol=1e-6
    )


def test_moments_keep_their_precision() -> None:
    values = 1e6 + torch.rand(4000, 3, dtype=torch.float64)
    parts = moments_of(values.split([1, 2, 997, 0, 3000]))
    torch.testing.assert_close(parts.std, values.std(0, correction=0), rtol=1e-9, atol=0)
    again = Moments.from_json(parts.to_json())
    assert again.count == 4000
    assert torch.equal(again.mean, parts.mean)
    assert torch.equal(again.squares, parts.squares)


def test_growth_keeps_old_assignments(tmp_path: Path) -> None:
    inputs = make_inputs(tmp_path / "people", motions=6)
    run(inputs, tmp_path / "dataset")
    before = _splits(tmp_path / "dataset")
    old = {path: path.read_bytes() for path in (tmp_path / "dataset" / "candidates").iterdir()}
    make_inputs(inputs, motions=12, videos=3)
    run(inputs, tmp_path / "dataset")
    after = _splits(tmp_path / "dataset")
    assert len(after) > len(before)
    assert {name: after[name] for name in before} == before
    assert {path: path.read_bytes() for path in old} == old


def test_refilter_looks_at_nothing_again(tmp_path: Path) -> None:
    inputs = make_inputs(tmp_path / "people")
    dataset = tmp_path / "dataset"
    summary = run(inputs, dataset)
    built = contents(dataset)
    shutil.rmtree(inputs)  # neither recordings nor videos are there any more
    jitter = sorted(
        clip.measurements["jitter"] for part in load_clips(dataset).values() for clip in part
    )
    limit = str((jitter[1] + jitter[2]) / 2)
    assert main(["data", "refilter", str(dataset), "--jitter-max", limit]) == 0
    kept = [clip for part in load_clips(dataset).values() for clip in part]
    assert [clip.measurements["jitter"] <= float(limit) for clip in kept] == [True, True]
    rows = [reject for reject in read_rejects(dataset) if reject.reason == "jerky"]
    assert len(rows) == summary.kept - 2
    assert all(row.threshold == float(limit) and row.stage == "motion" for row in rows)
    old = str(drive_config().motion.max_jitter)
    assert main(["data", "refilter", str(dataset), "--jerk-max", old]) == 0
    again = contents(dataset)
    again.pop("thresholds.yaml")
    assert again == built


def test_status_and_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = tmp_path / "dataset"
    summary = run(make_inputs(tmp_path / "people", motions=3, videos=1), dataset)
    assert main(["data", "status", str(dataset)]) == 0
    shown = capsys.readouterr().out
    assert f"{summary.kept} kept, {summary.rejected} rejected, 0 wait" in shown
    assert "boxes: confidence" in shown
    clip = (dataset / "splits" / "train.txt").read_text(encoding="utf-8").split()[0]
    sheet = tmp_path / "sheet.png"
    assert main(["data", "why", str(dataset), clip, "-o", str(sheet)]) == 0
    shown = capsys.readouterr().out
    for words in ("kept, train", "jitter", "ok, max", "licence", "recording"):
        assert words in shown
    assert sheet.stat().st_size > 1000
    assert main(["data", "why", str(dataset), "people/film0.mp4/0.0.1"]) == 0
    shown = capsys.readouterr().out
    assert "rejected at stage boxes, confidence: 0.2, threshold 0.6" in shown
    assert "it has no motion" in shown
    assert main(["data", "why", str(dataset), "people/take00"]) == 2
    assert "did you mean people/take00" in capsys.readouterr().err


def test_export_in_official_layouts(dataset: Path, tmp_path: Path) -> None:
    clips = sum(len(part) for part in load_clips(dataset).values())
    assert export(dataset, tmp_path / "official", "motionmillion") == clips
    (one,) = find_inputs([tmp_path / "official"], ReadConfig())
    assert one.kind == "motionmillion"
    takes = list(recordings(one, ReadConfig()))
    assert len(takes) == clips
    assert all(take.labels["captions"] for take in takes)
    with pytest.raises(ValueError, match="there already"):
        export(dataset, tmp_path / "official", "motionmillion")


def test_inputs_of_every_kind(tmp_path: Path) -> None:
    folder = make_inputs(tmp_path / "mixed", motions=2, videos=1)
    (folder / ".hidden").mkdir()
    shutil.copyfile(folder / "take000.bvh", folder / ".hidden" / "x.bvh")
    motions, videos = find_inputs([folder], ReadConfig())
    assert (motions.kind, motions.keys) == ("files", ("broken.bvh", "take000.bvh", "take001.bvh"))
    assert (videos.kind, videos.keys) == ("videos", ("film0.mp4",))
    (single,) = find_inputs([folder / "take000.bvh", folder / "take001.bvh"], ReadConfig())
    assert single.keys == ("take000.bvh", "take001.bvh")
    licences = ReadConfig(licences={"mixed": "CC0"})
    takes = list(recordings(motions, licences))
    assert {take.licence for take in takes} == {"CC0"}
    assert takes[2].labels["captions"] == ["a person walks about"]
    other = make_inputs(tmp_path / "elsewhere" / "mixed", motions=1, videos=0)
    with pytest.raises(ValueError, match="the same name"):
        find_inputs([folder, other], ReadConfig())


def test_broken_inputs(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such file"):
        build([tmp_path / "nothing"], tmp_path / "out", CONFIG)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="nothing to read"):
        build([tmp_path / "empty"], tmp_path / "out", CONFIG)
    with pytest.raises(FileNotFoundError, match="not a data set"):
        build([], tmp_path / "out", CONFIG)
    assert not (tmp_path / "out").exists()
    with pytest.raises(FileNotFoundError, match="not a data set"):
        load_clips(tmp_path)


def test_shards_give_back_what_they_got(tmp_path: Path) -> None:
    clips = [clip("a"), clip("b", 9)]
    write_shard(clips, tmp_path / "x.parquet")
    for old, new in zip(clips, read_shard(tmp_path / "x.parquet"), strict=True):
        assert torch.equal(old.features, new.features)
        assert old.captions == new.captions
        assert (old.id, old.group, old.licence) == (new.id, new.group, new.licence)
        assert (old.split, old.measurements) == (new.split, new.measurements)


def clip(name: str = "a", frames: int = 5) -> Clip:
    features = torch.rand(frames, 272)
    return Clip(
        name, features, ("walks",), "source", "CC0", True, name,
        split="train", measurements={"jitter": 1.5},
    )  # fmt: skip


def _splits(dataset: Path) -> dict[str, str]:
    return {
        name: path.stem
        for path in (Folder(dataset).root / "splits").glob("*.txt")
        for name in path.read_text(encoding="utf-8").splitlines()
    }


def test_the_work_can_be_done_elsewhere(tmp_path: Path) -> None:
    """Units follow an input that has moved."""
    inputs = make_inputs(tmp_path / "people", motions=2, videos=0)
    dataset = tmp_path / "dataset"
    run(inputs, dataset)
    shutil.move(inputs, tmp_path / "moved")
    (tmp_path / "moved").rename(tmp_path / "there")
    (tmp_path / "new").mkdir()
    (tmp_path / "there").rename(tmp_path / "new" / "people")
    next((dataset / "candidates").iterdir()).unlink()
    build([tmp_path / "new" / "people"], dataset, drive_config(), ready=people)
    assert len(list((dataset / "candidates").iterdir())) == 2


def test_a_clip_that_cannot_be_measured_is_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(motion: object) -> None:
        raise KeyError("knee")

    monkeypatch.setattr("motionmill.data.engine.measure.describe", fails)
    inputs = make_inputs(tmp_path / "people", motions=2, videos=0)
    summary = run(inputs, tmp_path / "dataset")
    assert (summary.kept, summary.rejected) == (0, 3)
    reasons = [reject.reason for reject in read_rejects(tmp_path / "dataset")]
    assert sum("KeyError: 'knee'" in reason for reason in reasons) == 2
