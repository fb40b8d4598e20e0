"""Videos through the engine with poses of another program: real pictures, a real process, real result files."""

from __future__ import annotations

import json
import pickle
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from motionmill.cli import main
from motionmill.data.config import DataConfig
from motionmill.data.engine.build import build
from motionmill.data.engine.pack import read_rejects
from motionmill.data.engine.pool import ProcessPool
from motionmill.data.loader import load_clips
from motionmill.motion import features
from motionmill.video.config import PoseConfig, VideoConfig
from motionmill.video.worklist import pending, read_work, result_of
from tests.data.drive import LOOSE, contents
from tests.video.test_extract import first_frames

ESTIMATOR = '''
"""Stands for GVHMR: looks at every clip of a work list and writes SMPL parameters: 2 cm a frame, a hand that waves."""
import json, sys
from pathlib import Path

import av
import numpy as np

work = Path(sys.argv[1])
for number, line in enumerate((work / "work.jsonl").read_text().splitlines()):
    item = json.loads(line)
    with av.open(str(work / item["clip"])) as container:
        frames = sum(1 for _ in container.decode(video=0))
    boxes = np.load(work / item["boxes"])["boxes"]
    assert frames == len(boxes) == item["frames"]
    pose = np.zeros((frames, 21 * 3), np.float32)
    pose[:, 3 * 15 + 2] = -1.2 + (0.3 + number) * np.sin(np.arange(frames) / 5)  # the left shoulder
    pose[:, 3 * 16 + 2] = 1.2
    away = np.zeros((frames, 3), np.float32)
    away[:, 1], away[:, 2] = 0.95, 0.02 * np.arange(frames)
    np.savez(work / item["result"], global_orient=pose[:, :3] * 0, body_pose=pose, transl=away)
'''


@pytest.fixture(scope="module")
def films(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two films of one man whose names differ only in a character that no file name of ours has."""
    pytest.importorskip("mediapipe", reason="the extra `video` is not installed")
    folder = tmp_path_factory.mktemp("inputs") / "films"
    folder.mkdir()
    video = shared / "data/videos/sam2_05_default_juggle.mp4"
    first_frames(video, 30, folder / "a man.mp4", size=(480, 270))
    shutil.copyfile(folder / "a man.mp4", folder / "a_man.mp4")
    (folder / "a man.txt").write_text("a man juggles a ball\n", encoding="utf-8")
    return folder


@pytest.fixture
def command(tmp_path: Path) -> str:
    script = tmp_path / "estimator.py"
    script.write_text(ESTIMATOR, encoding="utf-8")
    return shlex.join([sys.executable, str(script), "{folder}"])


def config() -> DataConfig:
    video = VideoConfig(pose=PoseConfig(clean=False))  # or the feet, which slide, would be held
    return DataConfig(estimator="work list", motion=LOOSE, video=video)


def speed(dataset: Path) -> list[float]:
    """Metres a second ahead of every kept clip."""
    clips = [clip for part in load_clips(dataset).values() for clip in part]
    motions = [features.to_motion(clip.features) for clip in clips]
    return [float(one.root[-1, 2] - one.root[0, 2]) / (len(one) - 1) * 30 for one in motions]


def test_the_engine_starts_the_estimator(films: Path, command: str, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    summary = build([films], dataset, config(), executor=ProcessPool(2), command=command)
    assert summary.kept == 2
    work = read_work(dataset / "work")
    assert len({item["id"] for item in work}) == 2
    assert pending(dataset / "work") == []
    assert speed(dataset) == pytest.approx([0.6, 0.6], abs=0.03)
    again = contents(dataset)
    assert build([], dataset, config(), command=command) == summary
    assert contents(dataset) == again


@pytest.mark.slow
def test_somebody_else_starts_it(
    films: Path, command: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = tmp_path / "dataset"
    assert build([films], dataset, config()).kept == 0
    assert "2 people wait in" in caplog.text
    waiting = [reject for reject in read_rejects(dataset) if reject.reason == "pending"]
    assert len(waiting) == 2
    first, second = read_work(dataset / "work")
    shutil.move(dataset / "work" / "work.jsonl", tmp_path / "all.jsonl")
    (dataset / "work" / "work.jsonl").write_text(json.dumps(first) + "\n", encoding="utf-8")
    words = [word.replace("{folder}", str(dataset / "work")) for word in shlex.split(command)]
    subprocess.run(words, check=True)  # it has done a part of its work
    steps: list[tuple[str, int, int]] = []
    summary = build([], dataset, config(), progress=lambda *told: steps.append(told))
    assert (summary.kept, summary.rejected) == (1, 1)
    assert ("extract", 1, 1) in steps  # only the film whose result has come is looked at again
    assert pending(dataset / "work") == [second["id"]]

    result = result_of(dataset / "work", first["id"])
    assert result is not None
    arrays = dict(np.load(result))
    np.savez(result, **{name: values[:-9] for name, values in arrays.items()})
    assert build([], dataset, config()).kept == 0
    reasons = {reject.reason for reject in read_rejects(dataset)}
    assert reasons == {
        "result_frames",
        "pending",
    }  # another result took its place: it is read again


class _Spy:
    """Would touch a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def as_gvhmr(frames: int, metres_a_frame: float) -> dict[str, object]:
    """What GVHMR's `hmr4d_results.pt` holds: the world and the camera, Y up and Y down."""
    around = torch.tensor([torch.pi, 0.0, 0.0])
    path = metres_a_frame * torch.arange(frames)[:, None] * torch.tensor([0.0, 0.0, 1.0])
    body = torch.zeros(frames, 63)
    body[:, 3 * 15 + 2] = -1.2 + 0.5 * torch.sin(torch.arange(frames) / 5)
    shape = {"body_pose": body, "betas": torch.zeros(frames, 10)}
    return {
        "smpl_params_global": {**shape, "global_orient": torch.zeros(frames, 3), "transl": path},
        "smpl_params_incam": {**shape, "global_orient": around.repeat(frames, 1), "transl": -path},
        "K_fullimg": torch.eye(3).repeat(frames, 1, 1),
        "net_outputs": {"model_output": {"pred_cam": torch.zeros(1, frames, 3)}},
    }


def test_results_of_gvhmr_and_pickled_ones(films: Path, tmp_path: Path) -> None:
    dataset, results = tmp_path / "dataset", tmp_path / "dataset/work/results"
    assert build([films], dataset, config()).kept == 0
    first, second = read_work(dataset / "work")
    frames = first["frames"]
    torch.save(as_gvhmr(frames, 0.02), results / f"{first['id']}.pt")
    poses = np.zeros((frames, 72), np.float32)
    poses[:, 3 * 17 + 2] = 1.2 + 0.5 * np.sin(np.arange(frames) / 4)  # the right shoulder
    path = np.zeros((frames, 3), np.float32)
    path[:, 2] = 0.03 * np.arange(frames)
    pickled = results / f"{second['id']}.pkl"
    pickled.write_bytes(pickle.dumps({"poses": poses, "trans": path, "gender": "neutral"}))
    assert build([], dataset, config()).kept == 2
    assert speed(dataset) == pytest.approx([0.6, 0.9], abs=0.03)

    before = (results / f"{first['id']}.pt").stat().st_size
    torch.save(as_gvhmr(frames, 0.01), results / f"{first['id']}.pt")  # done again, as large
    assert (results / f"{first['id']}.pt").stat().st_size == before
    pickled.write_bytes(pickle.dumps({"poses": poses, "trans": _Spy(tmp_path / "touched")}))
    assert build([], dataset, config()).kept == 1
    assert speed(dataset) == pytest.approx([0.3], abs=0.03)
    assert [reject.reason for reject in read_rejects(dataset)] == ["result_readable"]
    assert not (tmp_path / "touched").exists()


def test_a_command_needs_a_work_list(films: Path, tmp_path: Path) -> None:
    output = str(tmp_path / "dataset")
    assert main(["data", "run", "--input", str(films), "-o", output, "--run", "gvhmr {list}"]) == 2
    assert not (tmp_path / "dataset").exists()
