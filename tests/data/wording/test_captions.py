"""Labels of every source -> captions."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from motionmill.data.grammar import entries, load_phrases
from motionmill.data.wording.captions import (
    CONTENT_CLASSES,
    MERGE_REASONS,
    STYLE_CLASSES,
    judge_classes,
    meaning,
    mirror_caption,
    write_captions,
)
from motionmill.data.wording.sentences import captions_of

SOURCES = ("bandai", "snu2", "uiprmd", "cmu2", "cmu", "cmu_acrnn", "extra", "game_cc0")


@pytest.fixture(scope="module")
def labels(shared: Path) -> list[dict[str, Any]]:
    """One row of the manifests for each distinct label."""
    rows = {}
    for source in SOURCES:
        for line in (shared / "data" / source / "manifest.jsonl").read_text().splitlines():
            row = json.loads(line)
            rows[source, row.get("content"), row.get("style"), tuple(row["captions"])] = row
    return list(rows.values())


def test_every_label_gets_captions_of_sound_form(labels: list[dict[str, Any]]) -> None:
    assert len(labels) > 500
    for row in labels:
        captions = write_captions(row, None, count=24, rng=random.Random(3))
        assert len(set(captions)) == 24, row["id"]
        for caption in captions:
            assert not re.search(
                r"[{}^~|()]|  |\ba a\b| ,", caption.replace(" (", "").replace(")", "")
            ), caption
            if "clockwise" not in caption:
                assert mirror_caption(mirror_caption(caption)) == caption


def test_every_label_is_known(labels: list[dict[str, Any]]) -> None:
    assert [row["id"] for row in labels if not meaning(row).actions] == []


def test_classes_cover_the_labels(labels: list[dict[str, Any]]) -> None:
    contents = {row["content"] for row in labels if "content" in row}
    styles = {row["style"] for row in labels if "style" in row}
    assert contents == set(CONTENT_CLASSES)
    assert styles == set(STYLE_CLASSES)
    merged = {
        raw for table in (CONTENT_CLASSES, STYLE_CLASSES) for raw in table if table[raw] != raw
    }
    assert merged == set(MERGE_REASONS)
    assert judge_classes("bye", "old") == ("wave-right-hand", "elderly")
    assert judge_classes("deep squat", None) == ("deep squat", None)


def test_wording_is_varied() -> None:
    phrases = load_phrases("labels")["bandai"]
    for content in phrases:
        captions = write_captions(
            {"content": content, "style": "sad"}, None, count=400, rng=random.Random(0)
        )
        assert len(captions) == 400, content
        assert len({" ".join(caption.split()[:2]) for caption in captions}) > 60, content
    for style in set(STYLE_CLASSES.values()):
        words = load_phrases("styles")[style]
        assert (
            min(
                len(entries(words[part])) for part in ("adverbs", "adjectives", "manner", "clauses")
            )
            >= 3
        )


@pytest.mark.parametrize("content", ["walk", "wave-left-hand", "bow", "dash"])
def test_style_is_said_in_the_same_words_for_every_content(content: str) -> None:
    captions = write_captions(
        {"content": content, "style": "proud"}, None, count=700, rng=random.Random(1)
    )
    style = load_phrases("styles")["proud"]
    for word in (*entries(style["adverbs"]), *entries(style["adjectives"])):
        assert any(word in caption for caption in captions), word


def test_style_is_left_out_now_and_then() -> None:
    adjectives = "|".join(entries(load_phrases("styles")["exhausted"]["adjectives"]))
    captions = write_captions(
        {"content": "bow", "style": "exhausted"}, None, count=1000, rng=random.Random(2)
    )
    plain = [
        caption
        for caption in captions
        if not re.search(
            adjectives + r"|energy|sleep|fatigue|tired|wear|exhaust|collapse|effort|strength|limp",
            caption,
        )
        and not re.search(
            r"long|legs|breath|drop|sluggish|letharg|listless|drows|limbs|day|break|eyes|go on|rest",
            caption,
        )
    ]
    assert 0.06 < len(plain) / len(captions) < 0.2


def test_same_state_same_captions() -> None:
    row = {"content": "run", "style": "happy"}
    assert write_captions(row, None, rng=random.Random(5)) == write_captions(
        row, None, rng=random.Random(5)
    )
    assert write_captions(row, None, rng=random.Random(5)) != write_captions(
        row, None, rng=random.Random(6)
    )


def of_segments(*types: str, count: int) -> list[str]:
    labels = {"segments": [{"type": kind} for kind in types]}
    return write_captions(labels, None, count=count, rng=random.Random(0))


def test_segments_become_a_sequence() -> None:
    captions = of_segments("dribble", "dribble", "shoot", count=20)
    assert any(re.search(r"(dribbl|bounc).*(shoot|shot|throw)", caption) for caption in captions)
    many = of_segments("walk", "dribble", "walk", "shoot", count=5)
    assert all(re.search(r"basketball|hoops|ball", caption) for caption in many)


def test_two_meanings_in_a_row() -> None:
    both = meaning({"content": "punch", "style": "normal"}).then(
        meaning({"content": "walk-back", "style": "normal"})
    )
    captions = list(captions_of(both, None, count=10, rng=random.Random(0)))
    assert all(re.search(r"punch|strik|hit|box|blow|attack", caption) for caption in captions)


def test_captions_of_own_data_are_kept_and_reworded() -> None:
    own = {"captions": ["A person juggles three torches."], "label": "take 7"}
    captions = write_captions(own, None, count=6, rng=random.Random(0))
    assert captions[0] == "a person juggles three torches"
    assert len(captions) == 6
    assert all("juggles three torches" in caption for caption in captions)
