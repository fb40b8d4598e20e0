"""Many files: what is a source, what it becomes, what is kept; bad ones are told and do not stop the others."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from motionmill.formats import convert as module
from motionmill.formats.convert import Job, Outcome, Settings, convert, find_sources, plan, run
from motionmill.formats.files import load, save
from motionmill.formats.options import WriteOptions
from tests.formats.test_files import nod
from tests.formats.test_glb import stick, wave


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
    """The pool breaks; each of the others gets a process of its own and comes through."""
    jobs = [Job(tmp_path / name, (tmp_path / f"{name}.glb",)) for name in ("a", "killer", "c", "d")]
    for job in jobs:
        job.source.touch()

    def pool(jobs: list[Job], settings: Settings, workers: int) -> Iterator[tuple[Outcome, Job]]:
        for job in jobs:
            if job.source.name == "killer":
                raise module.BrokenProcessPool
            yield Outcome(job.source, written=1), job

    monkeypatch.setattr(module, "_in_pool", pool)
    outcomes = {outcome.source.name: outcome for outcome in run(jobs, Settings(), workers=2)}
    assert [name for name, outcome in outcomes.items() if outcome.error] == ["killer"]
    assert "killed" in outcomes["killer"].error
    assert len(outcomes) == 4


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
