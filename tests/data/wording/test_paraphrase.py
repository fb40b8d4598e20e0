"""Rewrites by rules: enough of them, all different, all true, and English."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from motionmill.data.grammar import past_tense
from motionmill.data.wording.clauses import parse
from motionmill.data.wording.directions import check_rewrite
from motionmill.data.wording.paraphrase import paraphrases

TWICE = r"\b(a|an|the|to|left|right|forward|walks?|is|hand|around|being) \1\b"


def plain(text: str) -> str:
    return re.sub(r"[^a-z0-9 ]", "", text.lower())


def captions(shared: Path) -> list[str]:
    """Every 60th sentence of KIT-ML, every fourth trial description of CMU."""
    folder = shared / "data/captions"
    kit = [
        row["text"]
        for line in (folder / "kitml_annotations.jsonl").read_text().splitlines()
        for row in json.loads(line)["annotations"]
    ]
    trials = (folder / "cmu_trials.jsonl").read_text().splitlines()
    cmu = sorted({json.loads(line)["description"] or "walk" for line in trials})
    return [text for text in kit[::60] + cmu[::4] if text.strip(" .")]


def test_at_least_eight_for_any_caption(shared: Path) -> None:
    for caption in captions(shared):
        made = paraphrases(caption, count=8)
        assert len(made) == 8, caption
        assert len({plain(text) for text in [caption, *made]}) == 9, caption
        for text in made:
            check_rewrite(caption, text)
            assert not re.search(r"[{}^\\~]|  ", text), text
            assert re.search(TWICE, caption) or not re.search(TWICE, text), text


@pytest.mark.parametrize(
    "caption",
    [
        "a person walks slowly forward while raising both hands above the head",
        "a person walks forward, then turns left and waves the right hand",
        "an old man bows deeply and then sits down",
        "she turns around clockwise twice",
        "Person kicking with the left leg",
        "sit down, stand up",
        "laughing out loud at nothing",
        "playground - climb, hang, swing",
        "90TwistsFall",
        "they dance",
        "x",
    ],
)
def test_eight_and_more(caption: str) -> None:
    made = paraphrases(caption)
    assert len({plain(text) for text in made}) == len(made) >= 8
    assert paraphrases(caption) == made
    assert paraphrases(caption, seed=1) != made


def test_forms_and_orders() -> None:
    made = paraphrases("a person walks slowly forward, then turns left", count=150)
    for pattern in (
        r"is (?:slowly )?walking",
        r"^(?:slowly |unhurriedly )?walk\b",
        r"\bwalked\b.*\bturned\b",
        r"before turning (?:to the )?left$",
        r"^after (?:slowly |unhurriedly )?walking .*, \w+.* turn(?:s|ed) ",
        r"slowly walk",
        r"walk\w* (?:forwards?|ahead) slowly",
        r"^(?:someone|somebody|an individual|a human|the figure)",
        r"^in this|^here",
    ):
        assert any(re.search(pattern, text) for text in made), pattern
    beside = paraphrases("a person walks while waving the right hand", count=80)
    assert any(re.match(r"while waving the right hand, ", text) for text in beside)


def test_who_moves_stays_who_it_is() -> None:
    for text in paraphrases("an old woman walks with a cane", count=20):
        assert re.search(r"\bold (?:woman|lady)\b", text) or text.startswith("walk"), text


@pytest.mark.parametrize(
    ("caption", "clauses", "rigid"),
    [
        ("A person is slowly walking forward.", [("slowly", "walk", "forward")], False),
        ("Person running", [("", "run", "")], False),
        (
            "A human walks, turns around and jumps twice",
            [("", "walk", ""), ("", "turn", "around"), ("", "jump", "twice")],
            False,
        ),
        ("a person steps forward as he sees a ball", None, True),
        ("a person walks, zorps and stops", None, True),  # a verb of no list would stay behind
        ("a person walks 4 steps and kicks 3 balls", [("", "walk", "4 steps"), ("", "kick", "3 balls")], False),
        ("a person is pushed", [], True),
        ("dinosaur", [], True),
    ],
)  # fmt: skip
def test_what_is_read(
    caption: str, clauses: list[tuple[str, str, str]] | None, rigid: bool
) -> None:
    sentence = parse(caption)
    assert sentence.rigid is rigid
    if clauses is not None:
        assert [(each.before, each.verb, each.rest) for each in sentence.clauses] == clauses


def test_unknown_verbs_are_left_alone() -> None:
    for text in paraphrases("a person walks, zorps and stops"):
        assert "walks, zorps and stops" in text


def test_past_tense() -> None:
    pairs = {
        "walk": "walked",
        "run": "ran",
        "stop": "stopped",
        "raise": "raised",
        "carry": "carried",
        "sway": "swayed",
    }
    assert {verb: past_tense(verb) for verb in pairs} == pairs


def test_nothing_to_say() -> None:
    with pytest.raises(ValueError, match="an empty caption"):
        paraphrases(" . ")
