"""Splits: groups never straddle, growth moves nobody, order does not matter, bridges are quarantined."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motionmill.data.split_config import HeldOutPair, SplitConfig
from motionmill.data.splits import SplitRow, assign_splits

CONFIG = SplitConfig(
    val_fraction=0.2,
    test_fraction=0.2,
    held_out_pairs=(
        HeldOutPair(content="run", style="angry", split="test_pairs"),
        HeldOutPair(content="walk", style="sad", split="val_pairs"),
    ),
    train_only=("own",),
)


@st.composite
def data_sets(draw: st.DrawFn) -> list[SplitRow]:
    number = draw(st.integers(1, 40))
    keys = st.integers(0, max(1, number // 2))
    return [
        SplitRow(
            f"clip{index}",
            draw(st.sampled_from(("one", "two", "own"))),
            f"take{draw(keys)}",
            draw(st.sampled_from((None, "walk", "run"))),
            draw(st.sampled_from((None, "angry", "sad"))),
            tuple(f"also{key}" for key in draw(st.lists(keys, max_size=2))),
        )
        for index in range(number)
    ]


def straddling(rows: list[SplitRow], splits: dict[str, str]) -> set[str]:
    seen: dict[str, set[str]] = {}
    for row in rows:
        if row.id in splits:
            for key in row.keys:
                seen.setdefault(key, set()).add(splits[row.id])
    return {key for key, found in seen.items() if len(found) > 1}


@settings(max_examples=60, deadline=None)
@given(rows=data_sets(), stratify=st.booleans(), data=st.data())
def test_groups_never_straddle_and_growth_moves_nobody(
    rows: list[SplitRow], stratify: bool, data: st.DataObject
) -> None:
    config = CONFIG.model_copy(update={"stratify": stratify})
    size = data.draw(st.integers(0, len(rows)))
    first = assign_splits(rows[:size], config)
    assert not straddling(rows[:size], dict(first.splits))
    assert not first.quarantined
    grown = assign_splits(rows, config, first.splits)
    assert not straddling(rows, dict(grown.splits))
    assert {name: grown.splits[name] for name in first.splits} == first.splits
    assert set(grown.splits) | set(grown.quarantined) == {row.id for row in rows}
    assert not set(grown.splits) & set(grown.quarantined)
    assert set(grown.quarantined) <= {row.id for row in rows[size:]}
    shuffled = rows.copy()
    random.Random(size).shuffle(shuffled)
    assert assign_splits(shuffled, config, first.splits) == grown
    pairs = {(pair.content, pair.style) for pair in CONFIG.held_out_pairs}
    for row in rows:
        if (row.content, row.style) in pairs and row.id in grown.splits:
            assert grown.splits[row.id] != "train"


def takes(number: int, *, start: int = 0, content: str | None = None) -> list[SplitRow]:
    return [
        SplitRow(f"{index}/{part}", "s", f"take{index}", content, None)
        for index in range(start, start + number)
        for part in range(3)
    ]


def test_fractions_hold_while_data_grows() -> None:
    rows: list[SplitRow] = []
    splits: dict[str, str] = {}
    for round_number in range(6):
        rows += takes(25, start=25 * round_number)
        splits = dict(assign_splits(rows, CONFIG, splits).splits)
        counts = Counter(splits.values())
        groups = len(rows) / 3
        assert counts["test"] == counts["val"] == 3 * round(0.2 * groups)


def test_every_content_gives_its_share() -> None:
    rows = takes(100, content="walk") + takes(20, start=100, content="run") + takes(5, start=120)
    config = SplitConfig(test_fraction=0.1, val_fraction=0.1, stratify=True)
    splits = assign_splits(rows, config).splits
    for split in ("test", "val"):
        found = Counter(row.content for row in rows if splits[row.id] == split)
        assert found["walk"] == 30
        assert found["run"] == 6
        assert sum(found.values()) in (36, 39)


def test_a_bridge_is_quarantined_with_the_reason() -> None:
    old = [SplitRow("a", "s", "take1", None, None), SplitRow("b", "s", "take2", None, None)]
    before = {"a": "train", "b": "test"}
    bridge = SplitRow("c", "s", "take3", None, None, ("take1", "take2"))
    friend = SplitRow("d", "s", "take3", None, None)
    found = assign_splits([*old, bridge, friend], CONFIG, before)
    assert found.splits["a"] == "train"
    assert found.splits["b"] == "test"
    assert found.quarantined == {"c": "would bridge train and test by take2"}
    assert "d" in found.splits
    chain = [
        SplitRow("e", "s", "take1", None, None, ("video",)),
        SplitRow("f", "s", "take2", None, None, ("video",)),
    ]
    found = assign_splits([*old, *chain], CONFIG, before)
    assert (found.splits["e"], list(found.quarantined)) == ("train", ["f"])


def test_a_held_out_pair_does_not_come_into_training_by_its_group() -> None:
    old = SplitRow("a", "s", "take", "walk", "angry")
    new = SplitRow("b", "s", "take", "run", "angry")
    found = assign_splits([old, new], CONFIG, {"a": "train"})
    assert "held out for test_pairs" in found.quarantined["b"]
    assert assign_splits([old, new], CONFIG).splits == {"a": "test_pairs", "b": "test_pairs"}


def test_old_leaks_stay_and_are_told() -> None:
    rows = [SplitRow(name, "s", "take", None, None) for name in "abc"]
    found = assign_splits(rows, CONFIG, {"a": "train", "b": "test"})
    assert found.straddling == {"take": ("train", "test")}
    assert found.splits == {"a": "train", "b": "test"}
    assert list(found.quarantined) == ["c"]


def test_bad_input_is_told() -> None:
    row = SplitRow("a", "s", "take", None, None)
    with pytest.raises(ValueError, match="two clips have the id 'a'"):
        assign_splits([row, row], CONFIG)
    with pytest.raises(ValueError, match="was in 'best'; expected one of train"):
        assign_splits([row], CONFIG, {"a": "best"})
    assert assign_splits([row], CONFIG, {"gone": "test"}).splits == {"a": "train"}
