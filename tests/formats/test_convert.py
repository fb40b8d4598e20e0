"""Many files: what is a source, what it becomes, what is kept; bad ones are told and do not stop the others."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from motionmill.formats import convert as module
from motionmill.formats.convert import Job, Outcome, Settings, convert, find_sources, plan, run
from motionmill.formats.files import load, save
from motionmill.formats.options import WriteOptions
from tests.formats.test_files import nod
from tests.formats.test_glb import stick, wave
from tests.formats.test_workers import SECONDS, alive, session, wait_until


@pytest.fixture
def mocap(tmp_path: Path) -> Path:
    """A folder with three motions, one of them further down, a broken one and things that are no motions."""
    folder = tmp_path / "mocap"
    (folder / "sub").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    save(nod(), folder / "a.bvh")
    save(nod(), folder / "sub" / "B.BVH")
    save(nod(), folder / "c.npz")
    save(nod(), folder / ".hidden" / "d.bvh")
    save(nod(), folder / "model.xml")  # with a trajectory beside it
    (folder / "broken.bvh").write_text("HIERARCHY\n")
    (folder / "notes.md").write_text("no motion")
    return folder


def names(found: list[tuple[Path, Path]]) -> list[str]:
    return [str(place) for _, place in found]


def test_folders_patterns_and_files(mocap: Path) -> None:
    assert names(find_sources([str(mocap)])) == ["a.bvh", "broken.bvh", "c.npz", "sub/B.BVH"]
    assert names(find_sources([str(mocap)], format="bvh")) == ["a.bvh", "broken.bvh", "sub/B.BVH"]
    assert names(find_sources([f"{mocap}/*.npz", str(mocap / "a.bvh")])) == ["c.npz", "a.bvh"]
    assert names(find_sources([f"{mocap}/**/*.BVH"])) == ["sub/B.BVH"]
    both = find_sources([str(mocap / "a.bvh"), str(mocap)])
    assert names(both) == ["a.bvh", "broken.bvh", "c.npz", "sub/B.BVH"]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("none.bvh", "none.bvh does not exist; expected a file with motion, a folder of them or a"),
        ("*.glb", "no file fits this pattern"),
        (".", r"no motion files in this folder; expected \.bvh"),
    ],
)
def test_nothing_to_convert(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=message):
        find_sources([pattern])


def test_results_are_no_sources(mocap: Path) -> None:
    """A second run does not convert what the first one made, beside the sources or among them."""
    (mocap / "out").mkdir()
    save(nod(), mocap / "out" / "a.glb")
    found = find_sources([str(mocap)], output=mocap / "out", formats=("fbx",))
    assert "out/a.glb" not in names(found)
    save(nod(), mocap / "a.glb")
    assert "a.glb" not in names(find_sources([str(mocap)], output=mocap, formats=("GLB",)))
    assert "a.glb" in names(find_sources([str(mocap)], output=mocap, formats=("fbx",)))


def test_where_things_go(tmp_path: Path) -> None:
    places = ["a.bvh", "sub/a.bvh", "b.v2.bvh", "c.bvh", "c.npz"]
    sources = [(tmp_path / place, Path(place)) for place in places]
    jobs = plan(sources, Path("out"), ["glb", ".fbx"])
    made = [str(job.outputs[0].relative_to("out")) for job in jobs]
    assert made == ["a.glb", "sub/a.glb", "b.v2.glb", "c.bvh.glb", "c.npz.glb"]
    assert jobs[0].outputs[1] == Path("out/a.fbx")
    with pytest.raises(ValueError, match=r"x/a.bvh and y/a.bvh would both become out/a"):
        plan([(Path("x/a.bvh"), Path("a.bvh")), (Path("y/a.bvh"), Path("a.bvh"))], Path("out"), [])


def test_bad_files_are_told_and_good_ones_converted(mocap: Path, tmp_path: Path) -> None:
    jobs = plan(find_sources([str(mocap)]), tmp_path / "out", ("glb", "npz"))
    outcomes = {outcome.source.name: outcome for outcome in run(jobs, Settings())}
    assert len(outcomes) == 4
    assert outcomes["broken.bvh"].error.startswith("broken.bvh, line ")
    assert outcomes["a.bvh"] == Outcome(mocap / "a.bvh", written=2)
    made = sorted(str(path.relative_to(tmp_path)) for path in (tmp_path / "out").rglob("*.*"))
    expected = ["out/a.glb", "out/a.npz", "out/c.glb", "out/c.npz", "out/sub/B.glb"]
    assert made == [*expected, "out/sub/B.npz"]
    assert len(load(tmp_path / "out" / "sub" / "B.glb")) == 6


def test_it_goes_on_where_it_stopped(mocap: Path, tmp_path: Path) -> None:
    """What is there and newer than its source is kept, whatever is in it; what is older, or missing, is made."""
    job = Job(mocap / "a.bvh", (tmp_path / "a.glb", tmp_path / "a.npz", tmp_path / "a.bvh"))
    (tmp_path / "a.glb").write_text("newer")
    (tmp_path / "a.npz").write_text("older")
    os.utime(tmp_path / "a.npz", (0, 0))
    assert list(run([job], Settings())) == [Outcome(job.source, written=2, kept=1)]
    assert (tmp_path / "a.glb").read_text() == "newer"
    assert list(run([job], Settings())) == [Outcome(job.source, kept=3)]
    assert list(run([job], Settings(overwrite=True))) == [Outcome(job.source, written=3)]
    assert len(load(tmp_path / "a.glb")) == 6


def test_skeletons_and_frame_rates(tmp_path: Path) -> None:
    """A rig that is not recognised is refused, unless it is to stay as it is."""
    save(wave(skeleton=stick()), tmp_path / "stick.glb")
    job = Job(tmp_path / "stick.glb", (tmp_path / "out.npz",))
    assert "unknown rig" in convert(job, Settings()).error
    assert convert(job, Settings(keep_skeleton=True, fps=60.0)).written == 1
    back = load(tmp_path / "out.npz")
    assert back.skeleton.names == stick().names
    assert (back.fps, len(back)) == (60.0, 79)


def test_options_reach_the_formats_that_take_them(tmp_path: Path) -> None:
    save(nod(), tmp_path / "a.npz")
    options = WriteOptions(names="mixamo", rest_first=True, body="smplx")
    job = Job(tmp_path / "a.npz", (tmp_path / "a.bvh", tmp_path / "a.glb"))
    assert convert(job, Settings(options=options)).error == ""
    assert "mixamorig:LeftForeArm" in (tmp_path / "a.bvh").read_text()
    assert "Frames: 7" in (tmp_path / "a.bvh").read_text()
    assert b"mixamorig:LeftForeArm" in (tmp_path / "a.glb").read_bytes()
    options.check([".bvh", ".npz"])
    with pytest.raises(
        ValueError, match=r"--rest-first is for .bvh files; asked for are .glb, .np"
    ):
        options.check([".glb", ".npz"])
    with pytest.raises(ValueError, match=r"--scale -1\.0; expected"):
        WriteOptions(scale=-1.0).check([".bvh"])


def test_what_nobody_expected_is_a_row_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(nod(), tmp_path / "a.npz")

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a line\nand another")

    monkeypatch.setattr(module, "load", fail)
    outcome = convert(Job(tmp_path / "a.npz", (tmp_path / "b.glb",)), Settings())
    assert outcome.error == "RuntimeError: a line and another"


def test_a_file_that_kills_its_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, and the others come through; how that is done is tested with the processes."""
    jobs = [Job(tmp_path / name, (tmp_path / f"{name}.glb",)) for name in ("a", "killer", "c")]
    for job in jobs:
        job.source.touch()

    def processes(
        work: Callable[[Job], Outcome], jobs: Sequence[Job], count: int, **_: object
    ) -> Iterator[tuple[Job, Outcome | None]]:
        assert count == 2
        for job in jobs:
            yield job, None if job.source.name == "killer" else Outcome(job.source, written=1)

    monkeypatch.setattr(module, "on_processes", processes)
    outcomes = {outcome.source.name: outcome for outcome in run(jobs, Settings(), workers=2)}
    assert [name for name, outcome in outcomes.items() if outcome.error] == ["killer"]
    assert "killed" in outcomes["killer"].error
    assert len(outcomes) == 3


@pytest.mark.parametrize(
    ("seconds", "cores", "here"),
    [
        ([0.01] * 149, 2, 149),  # few, and soon done
        ([0.01] * 150, 2, 0),  # many
        ([0.01] * 400, 1, 400),  # many, but nobody else to do them
        ([2.0] + [0.01] * 9, 2, 10),  # the first file loads the libraries
        ([2.0] + [0.5] * 29, 2, 2),  # they turn out to take long
        ([9.0, 8.0, 7.0], 2, 1),  # even the first, whatever it loaded
        ([3.0, 3.0, 3.0], 2, 3),  # too late when that was clear
        ([9.0], 2, 1),
    ],
)
def test_processes_are_started_where_they_pay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: list[float], cores: int, here: int
) -> None:
    """How many files are converted in this process, before others do the rest."""
    clock = [0.0]
    done: list[Job] = []

    def take_a_while(job: Job, _: Settings) -> Outcome:
        done.append(job)
        clock[0] += seconds[len(done) - 1]
        return Outcome(job.source, written=1)

    def processes(_: object, jobs: Sequence[Job], count: int, **__: object) -> Iterator[object]:
        assert count == cores or not jobs
        assert len(jobs) == len(seconds) - here
        yield from ((job, Outcome(job.source, written=1)) for job in jobs)

    monkeypatch.setattr(module, "num_cores", lambda: cores)
    monkeypatch.setattr(module, "convert", take_a_while)
    monkeypatch.setattr(module, "on_processes", processes)
    monkeypatch.setattr(module.time, "perf_counter", lambda: clock[0])
    (tmp_path / "a").touch()
    jobs = [Job(tmp_path / "a", (tmp_path / f"{index}.glb",)) for index in range(len(seconds))]
    assert len(list(run(jobs, Settings()))) == len(seconds)
    assert len(done) == here


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("workers", [1, 2])
def test_told_to_end_it_leaves_nothing(tmp_path: Path, workers: int) -> None:
    """SIGTERM in the middle of films that take minutes: nothing half done, no process, the exit code of shells."""
    for name in ("a", "b", "c"):
        save(nod(4000), tmp_path / f"{name}.npz")
    words = [str(tmp_path), "-o", str(tmp_path / "out"), "--to", "mp4", "--workers", str(workers)]
    with session([sys.executable, "-m", "motionmill", "convert", *words]) as process:
        begun = tmp_path / "out"
        wait_until(lambda: len(list(begun.glob(".motionmill-*/*.mp4"))) == workers, process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 143
        wait_until(lambda: not alive(process.pid))
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.slow
def test_two_processes_do_what_one_does(mocap: Path, tmp_path: Path) -> None:
    for workers in (1, 2):
        jobs = plan(find_sources([str(mocap)]), tmp_path / f"out{workers}", ("glb",))
        outcomes = list(run(jobs, Settings(), workers=workers))
        assert sum(outcome.written for outcome in outcomes) == 3
        assert sum(bool(outcome.error) for outcome in outcomes) == 1
    for path in (tmp_path / "out1").rglob("*.glb"):
        other = tmp_path / "out2" / path.relative_to(tmp_path / "out1")
        assert other.read_bytes() == path.read_bytes()
