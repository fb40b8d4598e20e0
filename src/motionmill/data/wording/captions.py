"""What a source says of a clip -> its meaning -> many differently worded captions.

A label becomes a `Meaning`: one or several actions and a style. Sides are corrected by the motion, and no caption is
kept that the motion contradicts.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, Final

from motionmill.data.describing.describe import Facts, contradicts
from motionmill.data.grammar import load_phrases
from motionmill.data.wording.sentences import Meaning, captions_of
from motionmill.data.wording.sides import mirror_caption as mirror_caption

CONTENT_CLASSES: Final[Mapping[str, str]] = {
    "bow": "bow",
    "bye": "wave-right-hand",
    "byebye": "wave-both-hands",
    "call": "call",
    "dance-short": "dance-short",
    "dash": "run",
    "guide": "guide",
    "kick": "kick",
    "punch": "punch",
    "raise-up-both-hands": "raise-up-both-hands",
    "raise-up-left-hand": "raise-up-left-hand",
    "raise-up-right-hand": "raise-up-right-hand",
    "respond": "raise-up-left-hand",
    "run": "run",
    "slash": "slash",
    "walk": "walk",
    "walk-back": "walk-back",
    "walk-left": "walk-left",
    "walk-right": "walk-right",
    "walk-turn-left": "walk-turn-left",
    "walk-turn-right": "walk-turn-right",
    "wave-both-hands": "wave-both-hands",
    "wave-left-hand": "wave-left-hand",
    "wave-right-hand": "wave-right-hand",
}
STYLE_CLASSES: Final[Mapping[str, str]] = {
    "active": "active",
    "angry": "angry",
    "childish": "childish",
    "chimpira": "chimpira",
    "elderly": "elderly",
    "exhausted": "exhausted",
    "feminine": "feminine",
    "giant": "giant",
    "happy": "happy",
    "masculine": "masculine",
    "masculinity": "masculine",
    "musical": "musical",
    "normal": "normal",
    "not-confident": "not-confident",
    "old": "elderly",
    "proud": "proud",
    "sad": "sad",
    "tired": "exhausted",
    "youthful": "youthful",
}
MERGE_REASONS: Final[Mapping[str, str]] = {
    "bye": "in all 15 clips the right hand waves, the left hangs",
    "byebye": "in all 15 clips both hands wave",
    "dash": "a run at 2.5-4.3 m/s in all 15 clips",
    "respond": "its one clip raises and holds the left hand",
    "masculinity": "another word for masculine",
    "old": "another word for elderly",
    "tired": "another word for exhausted",
}


def judge_classes(content: str | None, style: str | None) -> tuple[str | None, str | None]:
    """The classes that a content label and a style label are judged by; unknown labels stay as they are."""
    return (
        None if content is None else CONTENT_CLASSES.get(content, content),
        None if style is None else STYLE_CLASSES.get(style, style),
    )


def word_weight(captions: Sequence[str], weights: Mapping[str, float]) -> float:
    """The greatest weight of the words that most captions have; 1 for none."""
    found = [
        weight
        for word, weight in weights.items()
        if 2 * sum(f" {word}" in f" {caption.lower()}" for caption in captions) > len(captions)
    ]
    return max(found, default=1.0)


def true_labels(labels: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    """The labels with sides exchanged where the motion shows the other one: some takes are filed wrongly."""
    fixed = dict(labels)
    for key in ("content", "label"):
        if isinstance(text := labels.get(key), str):
            fixed[key] = _truer(text.replace("-", " "), facts, keep=text)
    if captions := labels.get("captions"):
        fixed["captions"] = [_truer(caption, facts, keep=caption) for caption in captions]
    return fixed


def _truer(words: str, facts: Facts, *, keep: str) -> str:
    other = mirror_caption(words)
    wrong = contradicts(words, facts) is not None and contradicts(other, facts) is None
    return mirror_caption(keep) if wrong else keep


def meaning(labels: Mapping[str, Any]) -> Meaning:
    """The meaning of a source's labels: `content` and `style`, `segments`, or else `captions`.

    A caption that no phrase file knows is kept as a sentence, and reworded.
    """
    table = load_phrases("labels")
    if (content := labels.get("content")) in table["bandai"]:
        style = labels.get("style", "normal")
        return _from_rows([table["bandai"][content]], style=STYLE_CLASSES.get(style, "normal"))
    human = tuple(
        str(row["text"]) for row in labels.get("kitml_captions", ()) if labels.get("whole", True)
    )
    if types := [str(segment["type"]) for segment in labels.get("segments", ())]:
        return _of_segments(types)
    captions = [_normalize(caption) for caption in labels.get("captions", ())] or [""]
    rows = [table["captions"][caption] for caption in captions if caption in table["captions"]]
    unknown = tuple(caption for caption in captions if caption not in table["captions"])
    return _from_rows(rows[:1], sentences=human + unknown)


def write_captions(
    labels: Mapping[str, Any],
    facts: Facts | None,
    *,
    count: int = 32,
    rng: random.Random,
) -> list[str]:
    """Captions of one clip, all different, none against the facts.

    Args:
        labels: what the source says of the clip: a row of its manifest.
        facts: what was measured on the motion; adds true directions and sides, and drops captions that are not true.
        count: how many; fewer where the phrases do not give so many.
        rng: decides the wording; the same state gives the same captions.
    """
    meant = meaning(labels if facts is None else true_labels(labels, facts))
    return list(captions_of(meant, facts, count=count, rng=rng))


def _normalize(caption: str) -> str:
    caption = " ".join(caption.lower().split())
    return caption if caption.endswith("..") else caption.rstrip(".")


def _of_segments(types: Sequence[str]) -> Meaning:
    table = load_phrases("labels")["segments"]
    known = [kind for kind in types if kind in table]
    merged = [kind for place, kind in enumerate(known) if place == 0 or known[place - 1] != kind]
    if not 1 <= len(merged) <= 3:
        return Meaning(("basketball",), ({},))
    return _from_rows([table[kind] for kind in merged])


def _from_rows(
    rows: Sequence[Mapping[str, Any]], *, style: str | None = None, sentences: tuple[str, ...] = ()
) -> Meaning:
    """Rows of `phrases/labels.yaml` as one meaning."""
    slots = tuple(
        {key: str(value) for key, value in row.items() if key not in ("action", "style")}
        for row in rows
    )
    styles = {row.get("style") for row in rows}
    return Meaning(
        tuple(str(row["action"]) for row in rows),
        slots,
        style or (styles.pop() if len(styles) == 1 else None),
        sentences,
    )
