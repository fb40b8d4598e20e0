"""Whatever is killed or breaks, whenever: the next run ends with the bytes of a run that nothing happened to."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from motionmill.config import save_config
from motionmill.data.config import ReadConfig
from motionmill.data.engine.build import RunError, build
from motionmill.data.engine.pack import read_rejects
from motionmill.data.engine.sources import find_inputs
from motionmill.data.engine.units import plan_units
from motionmill.data.folder import Folder
from tests.data.drive import config, contents, make_inputs, people, run
from tests.processes import children

ROOT = Path(__file__).resolve().parents[3]
STEPS = ("extract", "measure", "decide", "pack", "card")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_inputs(tmp_path_factory.mktemp("inputs") / "people")


@pytest.fixture(scope="module")
def undisturbed(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    dataset = tmp_path_factory.mktemp("reference") / "dataset"
    summary = run(inputs, dataset)
    assert summary.kept >= 5
    assert summary.rejected >= 3
    return dataset


def start(inputs: Path, dataset: Path, **options: object) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{os.environ.get('PYTHONPATH', '')}"}
    command = [sys.executable, "-m", "tests.data.drive", str(inputs), str(dataset), "2"]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stderr=subprocess.PIPE,
        **options,  # type: ignore[call-overload]
    )


@dataclass
class Assassin:
    """Kills a run, or one of its workers, a moment after a step has begun."""

    inputs: Path
    dataset: Path
    rng: random.Random
    kills: Counter[tuple[str, str]] = field(default_factory=Counter)

    def play(self, targets: list[tuple[str, str]]) -> None:
        """Let runs come so far as each (step, who) in turn; the last run is left alone until its end."""
        waiting = list(targets)
        while waiting:
            process = start(self.inputs, self.dataset)
            seen = self._lines()
            try:
                while waiting and process.poll() is None:
                    step, who = waiting[0]
                    reached = self._wait_for(step, seen, process)
                    waiting.pop(0)
                    if not reached:
                        continue  # nothing was left to do in it
                    time.sleep(self.rng.uniform(0, 0.06))
                    victim = process.pid if who == "driver" else self._worker_of(process.pid)
                    if victim is not None and process.poll() is None:
                        os.kill(victim, signal.SIGKILL)
                        self.kills[step, who] += 1
                    if who == "driver":
                        process.wait(30)
            finally:
                last = self._end(process)
            if last == 0:
                break  # it was faster than we
        while (code := self._end(start(self.inputs, self.dataset))) != 0:
            assert code == 0

    def _end(self, process: subprocess.Popen[bytes]) -> int:
        _, errors = process.communicate(timeout=120)
        assert process.returncode in (0, -signal.SIGKILL), errors.decode()
        return process.returncode

    def _wait_for(self, step: str, seen: int, process: subprocess.Popen[bytes]) -> bool:
        """Until a step has begun in this run; not for ever, because there may be nothing left to do in it."""
        while process.poll() is None:
            for entry in self._entries()[seen:]:
                if "begun" in entry and STEPS.index(str(entry["step"])) >= STEPS.index(step):
                    return entry["step"] == step
            time.sleep(0.001)
        return False

    def _entries(self) -> list[dict[str, object]]:
        path = self.dataset / "run" / "journal.jsonl"
        entries = []
        for line in path.read_bytes().splitlines() if path.is_file() else ():
            try:
                entry = json.loads(line)
            except ValueError:
                entry = {}
            entries.append(entry if entry.get("step") in STEPS else {})
        return entries

    def _lines(self) -> int:
        return len(self._entries())

    def _worker_of(self, driver: int) -> int | None:
        """A process that the driver or its fork server has started, or will have started in a moment."""
        for _ in range(500):
            workers = [grandchild for child in children(driver) for grandchild in children(child)]
            workers = workers or [child for child in children(driver) if _spawned(child)]
            if workers:
                return self.rng.choice(workers)
            time.sleep(0.01)
        return None


def _spawned(process: int) -> bool:
    try:
        return b"spawn_main" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:  # it has ended
        return False


@pytest.mark.dist
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_killed_at_every_step(seed: int, inputs: Path, undisturbed: Path, tmp_path: Path) -> None:
    """Together at least 25 kills, of workers and of drivers, in every step."""
    killer = Assassin(inputs, tmp_path / "dataset", random.Random(seed))
    targets = [(step, "driver") for step in STEPS]
    targets += [(step, "worker") for step in ("extract", "measure", "pack")]
    targets.sort(key=lambda target: (STEPS.index(target[0]), target[1] == "driver"))
    killer.play(targets)
    print(dict(killer.kills))
    assert sum(killer.kills.values()) >= 7
    assert contents(tmp_path / "dataset") == contents(undisturbed)


@pytest.mark.dist
def test_killed_runs_and_workers(inputs: Path, undisturbed: Path, tmp_path: Path) -> None:
    killer = Assassin(inputs, tmp_path / "dataset", random.Random(4))
    killer.play([("measure", "worker"), ("measure", "driver"), ("pack", "driver")])
    assert sum(killer.kills.values()) >= 2
    assert contents(tmp_path / "dataset") == contents(undisturbed)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of 256 kB, where this user may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("a small file system cannot be mounted here (needs root on Linux)")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(small_disk: Path, inputs: Path, undisturbed: Path) -> None:
    with pytest.raises((RunError, OSError), match="No space left"):
        run(inputs, small_disk / "dataset")
    partial = contents(small_disk / "dataset")
    assert len(partial) < len(contents(undisturbed))
    assert not [name for name in partial if ".partial-" in name]
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    run(inputs, small_disk / "dataset")
    assert contents(small_disk / "dataset") == contents(undisturbed)


def limited(size: int) -> Callable[[], None]:
    """For a process that cannot write larger files than this."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_files_that_cannot_be_written(inputs: Path, undisturbed: Path, tmp_path: Path) -> None:
    process = start(inputs, tmp_path / "dataset", preexec_fn=limited(40_000))
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "File too large" in errors.decode()
    run(inputs, tmp_path / "dataset")
    assert contents(tmp_path / "dataset") == contents(undisturbed)


def test_damaged_files_are_made_again(inputs: Path, undisturbed: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    run(inputs, dataset)
    damage = random.Random(1)
    for part in ("extracted", "candidates", "captions", "shards"):
        files = sorted((dataset / part).glob("*.parquet"))
        data = bytearray(files[0].read_bytes())
        footer = int.from_bytes(data[-8:-4], "little")
        place = damage.randrange(4, len(data) - 8 - footer)
        data[place] ^= 0xFF  # a bit that fell over, in the middle of the values
        files[0].write_bytes(data)
        files[-1].write_bytes(files[-1].read_bytes()[:-20])  # the end is missing
    for name in ("decisions.parquet", "statistics.safetensors", "splits/train.txt", "README.md"):
        path = dataset / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    for path in sorted((dataset / "rejects").glob("*.jsonl"))[:1]:
        path.write_text("{", encoding="utf-8")
    sorted((dataset / "units").glob("*.json"))[0].write_text("[", encoding="utf-8")
    run(inputs, dataset)
    assert contents(dataset) == contents(undisturbed)


def test_what_cannot_be_read_is_a_row(undisturbed: Path, tmp_path: Path) -> None:
    inputs = make_inputs(tmp_path / "people", motions=2, videos=1)
    (inputs / "no-film.mp4").write_bytes(b"this is text")
    summary = run(inputs, tmp_path / "dataset")
    rejects = {reject.id: reject for reject in read_rejects(tmp_path / "dataset")}
    assert summary.rejected == len(rejects)
    assert rejects["people/no-film.mp4"].stage == "shots"
    assert "not a video" in rejects["people/no-film.mp4"].reason
    assert rejects["people/broken.bvh"].stage == "read"
    assert "broken.bvh" in rejects["people/broken.bvh"].reason
    box = rejects["people/film0.mp4/0.0.1"]
    assert (box.stage, box.reason, box.value, box.threshold) == ("boxes", "confidence", 0.2, 0.6)


def test_two_runs_at_once(inputs: Path, tmp_path: Path) -> None:
    from motionmill.data.folder import Folder, locked

    folder = Folder(tmp_path / "dataset")
    folder.make()
    with locked(folder), pytest.raises(ValueError, match="another run"):
        run(inputs, folder.root)


def test_files_that_were_deleted_are_rows_and_an_input_that_is_away_is_not(tmp_path: Path) -> None:
    inputs = make_inputs(tmp_path / "people", motions=4, videos=2)
    Folder(tmp_path / "dataset").make()
    plan_units(Folder(tmp_path / "dataset"), find_inputs([inputs], ReadConfig()), config().units)
    save_config(config(), tmp_path / "dataset" / "config.yaml")
    (inputs / "take001.bvh").unlink()
    (inputs / "film0.mp4").unlink()
    inputs.rename(tmp_path / "elsewhere")
    with pytest.raises(RunError, match="No such file"):
        build([], tmp_path / "dataset", config(), ready=people)
    (tmp_path / "elsewhere").rename(inputs)
    build([], tmp_path / "dataset", config(), ready=people)
    rejects = {reject.id: reject for reject in read_rejects(tmp_path / "dataset")}
    assert rejects["people/take001.bvh"].reason == "take001.bvh: not there any more"
    assert rejects["people/film0.mp4"].reason == "film0.mp4: not there any more"


def test_files_that_were_mended_are_looked_at_again(tmp_path: Path) -> None:
    inputs = make_inputs(tmp_path / "first" / "people", motions=4, videos=2)
    (inputs / "film1.mp4").write_bytes(b"cut off")
    dataset = tmp_path / "first" / "dataset"
    before = run(inputs, dataset)
    (inputs / "film1.mp4").write_bytes(b"film 1")  # downloaded again
    (inputs / "broken.bvh").write_bytes((inputs / "take002.bvh").read_bytes())
    (inputs / "film0.mp4").unlink()  # what was made of it stays
    after = run(inputs, dataset)
    assert after.kept + after.rejected > before.kept + before.rejected
    rejected = {reject.id for reject in read_rejects(dataset)}
    assert not rejected & {"people/film1.mp4", "people/broken.bvh", "people/film0.mp4"}
    assert run(inputs, dataset) == after
