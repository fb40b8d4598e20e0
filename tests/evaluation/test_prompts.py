"""The independent test prompts: numbers, labels and expectations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import motionmill.evaluation
from motionmill.evaluation.directions import check_expected

FOLDER = Path(motionmill.evaluation.__file__).with_name("prompts")
SETS = ("wordings", "directions", "free_length", "gallery", "open", "zero_shot")


def read(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / f"{name}.jsonl").read_text("utf-8").splitlines()]


def test_every_file_is_known() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.jsonl")) == sorted(SETS)


@pytest.mark.parametrize("name", SETS)
def test_ids_and_prompts_are_given_once(name: str) -> None:
    rows = read(name)
    assert (
        len({row["id"] for row in rows})
        == len({row["prompt"].lower() for row in rows})
        == len(rows)
    )
    assert all(row["prompt"].strip() == row["prompt"] != "" for row in rows)


def test_wordings_have_labels_of_the_data(shared: Path) -> None:
    lines = (shared / "data/bandai/manifest.jsonl").read_text("utf-8").splitlines()
    clips = [json.loads(line) for line in lines]
    pairs = {(clip["content"], clip["style"]) for clip in clips}
    second = {clip["content"] for clip in clips if clip["source"].endswith("2")}
    rows = read("wordings")
    assert len(rows) >= 80
    assert sum(row["content"] in second for row in rows) >= 60
    assert {row["content"] for row in rows} == {clip["content"] for clip in clips}
    for row in rows:
        assert row["style"] is None or (row["content"], row["style"]) in pairs, row


def test_directions_are_balanced_and_known() -> None:
    rows = read("directions")
    assert len(rows) == 100
    for row in rows:
        check_expected(row["expected"])
    sides = [value for row in rows for value in row["expected"].values()]
    assert sides.count("left") == sides.count("right")


def test_open_prompts_name_their_action() -> None:
    rows = read("open")
    expected = [row["expected"] for row in rows if row["expected"] is not None]
    for directions in expected:
        check_expected(directions)
    assert len(rows) >= 60
    assert len(expected) >= 24
    assert all(row["action"] for row in rows)


def test_free_length_prompts_name_no_duration() -> None:
    rows = read("free_length")
    assert len(rows) == 200
    assert {row["domain"] for row in rows} == {"in", "out"}
    assert not [row for row in rows if "second" in row["prompt"] or "minute" in row["prompt"]]


def test_the_gallery_has_every_kind_of_wording() -> None:
    rows = read("gallery")
    assert len(rows) == 36
    assert {row["wording"] for row in rows} == {"plain", "free", "outside"}
