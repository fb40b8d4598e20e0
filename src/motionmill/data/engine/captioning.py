"""Clips that stay -> their captions: from labels by our grammar, by models, or from the description (stages 8 and 9).

A model that is configured and fails leaves its clips pending; another run asks for them again. Answers are kept, so
that nothing is paid for twice.
"""

from __future__ import annotations

import functools
import hashlib
import json
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from motionmill.data.candidates import (
    Candidate,
    made_from,
    read_candidates,
    read_metadata,
    read_rows,
    write_rows,
)
from motionmill.data.config import DataConfig
from motionmill.data.describing.describe import Facts, contradicts
from motionmill.data.describing.description import Description, Event
from motionmill.data.engine.clock import Clock
from motionmill.data.engine.decisions import read_decisions
from motionmill.data.engine.executor import Tally
from motionmill.data.engine.units import digest_of
from motionmill.data.folder import Folder
from motionmill.data.wording.caption import (
    Captioner,
    PendingError,
    Scene,
    make_captioner,
)
from motionmill.data.wording.captions import write_captions
from motionmill.data.wording.pictures import contact_pictures
from motionmill.data.wording.rewrite import Rewriter, make_rewriter
from motionmill.data.wording.text_duplicates import different_texts
from motionmill.motion.features import to_motion

_VERSION: Final = 1
_REQUESTS_AT_ONCE: Final = 8
_FAILURES_IN_A_ROW: Final = 5  # after so many an endpoint counts as down


@dataclass(frozen=True)
class Words:
    """The captions of a clip.

    Attributes:
        id: the clip.
        captions: all different; none where the clip is pending.
        details: who said it, style, emotion and so on, as far as they are known.
        pending: why there are none yet; "" where there are.
    """

    id: str
    captions: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    pending: str = ""


def worded_from(folder: Folder, config: DataConfig, name: str) -> str:
    """Says what the captions of a unit are made from."""
    origin = made_from(folder.file("candidates", name))
    parts = (config.labels, config.caption, config.rewrite)
    return digest_of(_VERSION, origin, *(part.model_dump(mode="json") for part in parts))


def start_captioning(root: Path, config: DataConfig) -> Callable[[str], Tally]:
    """A worker of this step: a function of a unit's name."""
    folder = Folder(root)
    captioner = make_captioner(config.caption, cache=folder.answers)
    rewriter = make_rewriter(config.rewrite, cache=folder.answers)
    return functools.partial(caption_unit, folder, config, captioner, rewriter)


def caption_unit(
    folder: Folder, config: DataConfig, captioner: Captioner, rewriter: Rewriter, name: str
) -> Tally:
    """Write the captions of a unit's clips; those that are there already stay."""
    path = folder.file("captions", name)
    origin = worded_from(folder, config, name)
    wanted = [row.id for row in read_decisions(folder, name) if row.split]
    had: dict[str, Words] = {}
    if made_from(path) == origin:
        had = {words.id: words for words in read_words(path) if not words.pending}
        if (
            all(clip in had for clip in wanted)
            and (read_metadata(path) or {}).get("pending") == "0"
        ):
            return {"captioned": 0, "pending": 0}
    before = captioner.usage, rewriter.usage
    clock = Clock()
    with clock.stage("caption"):
        author = Author(config, captioner, rewriter)
        missing = {clip for clip in wanted if clip not in had}
        pictures = bool(config.caption.url) and config.caption.pictures != "none"
        found = read_candidates(
            folder.file("candidates", name),
            without=("signature", "signature_width") + (() if pictures else ("features",)),
        )
        fresh = {words.id: words for words in author.write(found, missing)}
    order = [row.id for row in read_decisions(folder, name)]
    all_words = had | fresh
    rows = [_row(all_words[clip]) for clip in order if clip in all_words]
    pending = sum(bool(words.pending) for words in fresh.values())
    write_rows(rows, _schema(), path, made_from=origin, metadata={"pending": str(pending)})
    clock.count("captioned", len(fresh) - pending)
    clock.count("pending", pending)
    clock.count("endpoint_down", author.down)
    used = zip(("caption", "rewrite"), before, (captioner.usage, rewriter.usage), strict=True)
    costs = {
        f"{who}.{field}": asdict(after)[field] - value
        for who, start, after in used
        for field, value in asdict(start).items()
    }
    return {**clock.tally(), **{name: value for name, value in costs.items() if value}}


def read_words(path: Path) -> Iterator[Words]:
    """The captions of a unit. Raises DamagedFileError."""
    for row in read_rows(path):
        yield Words(
            row["id"], tuple(row["captions"]), json.loads(row["details"]), row["pending"] or ""
        )


class Author:
    """Writes the captions of clips, several at once where a model is asked."""

    def __init__(self, config: DataConfig, captioner: Captioner, rewriter: Rewriter) -> None:
        self._config, self._captioner, self._rewriter = config, captioner, rewriter
        self._failures = 0
        self._lock = threading.Lock()
        self.down = False

    def write(self, candidates: Iterator[Candidate], wanted: set[str]) -> Iterator[Words]:
        """The words of the wanted clips, in order."""
        asks = bool(self._config.caption.url or self._config.rewrite.url)
        chosen = (candidate for candidate in candidates if candidate.id in wanted)
        if not asks:
            yield from map(self._words, chosen)
            return
        with ThreadPoolExecutor(_REQUESTS_AT_ONCE) as threads:
            waiting = []  # few at a time, because they hold features
            for candidate in chosen:
                waiting.append(threads.submit(self._guarded, candidate))
                if len(waiting) == 2 * _REQUESTS_AT_ONCE:
                    yield waiting.pop(0).result()
            for future in waiting:
                yield future.result()

    def _guarded(self, candidate: Candidate) -> Words:
        """The words, or that they are pending; after some failures in a row nothing more is asked."""
        if self.down:
            return Words(candidate.id, pending="not asked: the endpoint fails")
        try:
            words = self._words(candidate)
        except PendingError as error:
            with self._lock:
                self._failures += 1
                self.down |= error.permanent or self._failures >= _FAILURES_IN_A_ROW
            return Words(candidate.id, pending=" ".join(str(error).split()))
        with self._lock:
            self._failures = 0
        return words

    def _words(self, candidate: Candidate) -> Words:
        config = self._config
        facts = Facts(**(candidate.facts or {}))
        if not config.caption.url and _says_what_is_done(candidate.labels):
            from_labels = self._from_labels(candidate, facts)
            if from_labels is not None:
                return from_labels
        sheet = (
            () if candidate.features is None else contact_pictures(to_motion(candidate.features))
        )
        scene = Scene(
            _description(candidate.description or {}), facts, sheet, _hints(candidate.labels)
        )
        caption = self._captioner.caption(scene)
        rewrites = self._rewriter.rewrite(
            caption.text, count=config.rewrite.count, seed=_seed(config, candidate.id)
        )
        texts = [caption.text, caption.short, *rewrites]
        details = {name: value for name, value in asdict(caption).items() if value}
        for name in ("text", "short"):
            details.pop(name, None)
        return Words(candidate.id, tuple(different_texts(text for text in texts if text)), details)

    def _from_labels(self, candidate: Candidate, facts: Facts) -> Words | None:
        """Captions of what the source says, without those that the motion contradicts; None where none is left."""
        config = self._config
        captions = write_captions(
            candidate.labels,
            facts,
            count=config.labels.captions,
            rng=random.Random(_seed(config, candidate.id)),
        )
        truthful = [caption for caption in captions if contradicts(caption, facts) is None]
        if not truthful:
            return None
        details = {"origin": "labels", "dropped": len(captions) - len(truthful)}
        if config.rewrite.url:
            seed = _seed(config, candidate.id)
            more = self._rewriter.rewrite(truthful[0], count=config.rewrite.count, seed=seed)
            truthful = list(dict.fromkeys([*truthful, *more]))
        return Words(candidate.id, tuple(truthful), details)


def _says_what_is_done(labels: Mapping[str, Any]) -> bool:
    return any(labels.get(name) for name in ("content", "captions", "segments", "kitml_captions"))


def _hints(labels: Mapping[str, Any]) -> list[str]:
    """What a source says, for a model to take or leave."""
    texts = [labels.get(name) for name in ("content", "style", "label")]
    texts += list(labels.get("captions") or ())
    return list(dict.fromkeys(text for text in texts if isinstance(text, str) and text))


def _seed(config: DataConfig, clip_id: str) -> int:
    text = f"{config.labels.seed}/{clip_id}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


def _description(values: Mapping[str, Any]) -> Description:
    events = tuple(Event(**event) for event in values["events"])
    return Description(**{**values, "events": events})


def _row(words: Words) -> dict[str, Any]:
    details = json.dumps(dict(words.details), sort_keys=True, ensure_ascii=False)
    return {
        "id": words.id,
        "captions": list(words.captions),
        "details": details,
        "pending": words.pending or None,
    }


def _schema() -> Any:
    import pyarrow as pa

    return pa.schema(
        [
            ("id", pa.string()),
            ("captions", pa.list_(pa.string())),
            ("details", pa.string()),
            ("pending", pa.string()),
        ]
    )
