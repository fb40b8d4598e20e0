"""Prompt suites: the shipped one is balanced and spelt right, the paper's is known, bad files are named."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from motionmill.evaluation.suite import CATEGORIES, KINDS, load_suite
from motionmill.generator.text import minilm_folder

# Words that the dictionary at hand has only in pieces.
_RARE = """
backhand balances barbell beckon beckons bounces breakdancer breathes cartwheel chisel claps climber crawls
creeps crouches digs dips dives dodges drags dribble dribbles drifts drooping fencer fireball flamenco freezes
glides greets hammers hitchhiker hops howls hurls jab jacks jerks jog jogs juggle juggler knead kneads kneel
kneels limps loosens lunge lunges mime moonwalk oars pincers puppeteer rears retreats roars roundhouse salutes
scatter scuttles scythes shoelace shuffles sidesteps skips slows slumps smashes sprints squats squeezes
stagger staggers stomp stomps stonemason strum strumming strut struts stumbles suitcases sways thrower tiptoe
tiptoes uppercut waddle waddles wades wag wagging waltzes weightlifter whiteboard wipes yawn yawns
"""


def test_the_shipped_suite_is_balanced() -> None:
    suite = load_suite("zero-shot")
    assert len(suite.prompts) >= 160
    assert not suite.duplicates
    counts = Counter(prompt.category for prompt in suite.prompts)
    assert set(counts) == set(CATEGORIES)
    assert min(counts.values()) >= 20
    kinds = Counter((prompt.category, prompt.kind) for prompt in suite.prompts)
    assert {kind for _, kind in kinds} == set(KINDS) - {"unknown"}
    assert min(kinds.values()) >= 5
    assert all(prompt.actions for prompt in suite.prompts)


def test_what_is_compositional_has_several_actions_or_a_style() -> None:
    for prompt in load_suite("zero-shot").prompts:
        if prompt.kind == "compositional" and len(prompt.actions) == 1:
            assert re.search(r"\b(angry|old|tired|happy|proud)\b", prompt.text), prompt


def test_words_are_spelt_right() -> None:
    known = set((minilm_folder() / "vocab.txt").read_text(encoding="utf-8").split()) | set(
        _RARE.split()
    )
    words = {
        word
        for prompt in load_suite("zero-shot").prompts
        for word in re.findall(r"[a-z]+", " ".join((prompt.text, *prompt.actions)))
    }
    assert sorted(words - known) == []


def test_the_papers_prompts(shared: Path) -> None:
    path = shared / "data" / "motionmillion" / "prompts.txt"
    suite = load_suite(path)
    assert len(suite.prompts) == 124
    assert [text for text, _ in suite.duplicates] == ["Snap fingers", "Drink water"]
    assert all(prompt.category in CATEGORIES for prompt in suite.prompts)
    assert len({prompt.category for prompt in suite.prompts}) == 7


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("wave", "line 2"),
        ('["wave"]', "expected an object"),
        ('{"id": "../a", "prompt": "x"}', "id '../a'; expected letters"),
        ('{"id": "b", "prompt": " "}', "expected text"),
        ('{"id": "b", "prompt": "x", "category": "cooking"}', "expected one of daily life"),
        ('{"id": "b", "prompt": "x", "speed": 1}', "unknown key 'speed'"),
        ('{"id": "a", "prompt": "another"}', "given 2 times"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text('{"id": "a", "prompt": "a person waves"}\n' + line + "\n")
    with pytest.raises(ValueError, match=re.escape(message)):
        load_suite(path)


def test_versions_follow_the_texts(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("a person waves\n\na person bows\nA person  waves\n")
    suite = load_suite(path)
    assert [prompt.id for prompt in suite.prompts] == ["line-0001", "line-0003"]
    assert suite.duplicates == (("A person  waves", "line-0004"),)
    path.write_text("a person waves\n\na person nods\n")
    assert load_suite(path).version != suite.version
    with pytest.raises(FileNotFoundError, match="suites are zero-shot"):
        load_suite("one-shot")
