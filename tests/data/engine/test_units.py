"""Inputs -> units: names that can be ids, links, how many recordings a unit has, and which unit is begun first."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from motionmill.data.config import ReadConfig, UnitConfig
from motionmill.data.engine.executor import Outcome, Step
from motionmill.data.engine.pool import ProcessPool
from motionmill.data.engine.sources import Input, caption_lines, find_inputs
from motionmill.data.engine.survey import reason_in_general
from motionmill.data.engine.units import plan_units, read_units
from motionmill.data.engine.why import sheet_name
from motionmill.data.folder import Folder
from tests.data.drive import make_inputs, run


def planned(folder: Folder, count: int, config: UnitConfig | None = None) -> list[int]:
    """How many recordings the units of an input of so many have."""
    folder.make()
    keys = tuple(f"take{index:06}.bvh" for index in range(count))
    plan_units(folder, [Input("files", "takes", Path("takes"), keys)], config or UnitConfig())
    units = list(read_units(folder))
    assert tuple(key for unit in units for key in unit.keys) == keys
    return [len(unit.keys) for unit in units]


@pytest.mark.parametrize(
    ("count", "size", "units"), [(20, 32, 1), (2600, 41, 64), (10_000, 157, 64), (40_000, 512, 79)]
)
def test_small_inputs_become_small_units(count: int, size: int, units: int, tmp_path: Path) -> None:
    sizes = planned(Folder(tmp_path), count)
    assert len(sizes) == units
    assert set(sizes[:-1]) <= {size}


def test_a_unit_that_was_lost_comes_back(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    planned(folder, 2600)
    before = {path.name: path.read_bytes() for path in (tmp_path / "units").glob("*.json")}
    for name in list(before)[3:6]:
        (tmp_path / "units" / name).unlink()
    planned(folder, 2600)
    assert {path.name: path.read_bytes() for path in (tmp_path / "units").glob("*.json")} == before


def test_names_that_cannot_be_ids(tmp_path: Path) -> None:
    folder = tmp_path / "Bild Ä ö" / "动作 один"
    folder.mkdir(parents=True)
    for name in ("take 1.bvh", "café 🎬.mp4", "ideographic\u3000space.bvh"):
        (folder / name).touch()
    found = find_inputs([tmp_path], ReadConfig())
    assert sum(len(one.keys) for one in found) == 3
    bad = [b"two\nlines.bvh", "two\u2028lines.bvh".encode()]
    if sys.platform == "linux":
        bad.append(b"latin\xe9.bvh")
    for name in bad:
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).touch()
    with pytest.raises(ValueError, match=f"{len(bad)} names are not UTF-8 or have line breaks"):
        find_inputs([tmp_path], ReadConfig())


def test_links_that_lead_back_or_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "takes" / "inner").mkdir(parents=True)
    (tmp_path / "takes" / "inner" / "walk.bvh").touch()
    (tmp_path / "takes" / "inner" / "back").symlink_to(tmp_path / "takes")
    (tmp_path / "takes" / "gone.bvh").symlink_to(tmp_path / "nowhere.bvh")
    (one,) = find_inputs([tmp_path / "takes"], ReadConfig())
    assert one.keys == ("inner/walk.bvh",)
    assert "gone.bvh is left out: it leads to no file" in caplog.text


def test_files_of_other_kinds(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a.bvh", "a.txt", "b.fbx", "c.FBX", "weights.pt", "walk.json", "index.csv"):
        (tmp_path / name).touch()
    (one,) = find_inputs([tmp_path], ReadConfig())
    assert one.keys == ("a.bvh",)
    assert "2 .fbx, 1 .pt files are left out" in caplog.text
    (one,) = find_inputs([tmp_path / "walk.json"], ReadConfig())
    assert one.keys == ("walk.json",)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_captions_in_the_encodings_of_editors(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "walk.txt").write_bytes("a person drinks café\n\nzwei # note\n".encode(encoding))
    assert caption_lines(tmp_path / "walk.bvh") == ["a person drinks café", "zwei"]


def test_reasons_without_what_belongs_to_one_file() -> None:
    assert reason_in_general("my take.bvh, line 3: expected X, got 'y: z'") == "expected X"
    assert (
        reason_in_general("a film.mp4: no video in it, only audio") == "no video in it, only audio"
    )
    assert reason_in_general("frozen for a time") == "frozen for a time"
    assert reason_in_general("contained in a/b.bvh") == "contained in another clip"


def test_sheets_have_names_that_files_can_have() -> None:
    assert sheet_name('bandai/walk "1".bvh@30') == "bandai_walk _1_.bvh@30.png"
    one, other = (sheet_name(f"people/{'ö' * 200}{end}") for end in "ab")
    assert one != other
    assert len(one.encode()) < 220


class Noting(ProcessPool):
    """Works here, and remembers in which order."""

    def __init__(self) -> None:
        super().__init__(1)
        self.order: dict[str, list[str]] = {}

    def run(self, step: Step, units: Iterable[str]) -> Iterator[Outcome]:
        self.order[step.name] = list(units)
        return super().run(step, units)


def test_the_largest_is_begun_first(tmp_path: Path) -> None:
    inputs = make_inputs(tmp_path / "people", motions=5, videos=3)
    with (inputs / "film1.mp4").open("ab") as file:
        file.write(bytes(10_000))
    pool = Noting()
    run(inputs, tmp_path / "dataset", pool)
    assert pool.order["extract"][0] == "people-videos-000001"
    sizes = [
        (tmp_path / "dataset" / "candidates" / f"{unit}.parquet").stat().st_size
        for unit in pool.order["pack"]
    ]
    assert sizes == sorted(sizes, reverse=True)
