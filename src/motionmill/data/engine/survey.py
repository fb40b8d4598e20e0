"""A data set -> what is in it: counts that add up, hours, licences, captions, and how its measurements are spread.

Reads everything but features, unit by unit, and keeps counts only, and the values of what is spread in bins; hashes of
the captions, by which different ones are counted, lie on the disk meanwhile.
"""

from __future__ import annotations

import hashlib
import heapq
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from motionmill.data.candidates import Candidate, read_candidates
from motionmill.data.engine.captioning import Words, read_words
from motionmill.data.engine.decisions import Decision, read_decisions
from motionmill.data.folder import Folder
from motionmill.data.scratch import Scratch

NUM_EXAMPLES = 12
_FILE = re.compile(r"^.{1,255}?\.\w{1,8}(, (line|clip) [^:]*)?: ")
_BINS = 10
_CAPTION_PARTS = 64  # of the hashes of captions, sorted one after the other


@dataclass(frozen=True)
class Example:
    """A clip to look at."""

    id: str
    split: str
    seconds: float
    caption: str


@dataclass
class Spread:
    """How one measurement is spread, in bins that are equal from the least to the greatest value."""

    values: list[np.ndarray[tuple[int], np.dtype[np.float32]]] = field(default_factory=list)

    def add(self, values: Iterable[float]) -> None:
        """More values; those that are not finite are passed over."""
        found = np.fromiter((value for value in values if math.isfinite(value)), np.float32)
        if len(found):
            self.values.append(found)

    def bins(self) -> list[tuple[float, float, int]]:
        """(from, to, how many); the last bin has all beyond the 99th percentile."""
        if not self.values:
            return []
        values = np.concatenate(self.values)
        low, high = float(values.min()), float(np.percentile(values, 99))
        if high <= low:
            return [(low, float(values.max()), len(values))]
        edges = np.linspace(low, high, _BINS)
        counts = np.histogram(values, bins=[*edges, math.inf])[0]
        ends = [*edges[1:].tolist(), float(values.max())]
        return [
            (float(start), end, int(count))
            for start, end, count in zip(edges, ends, counts, strict=True)
        ]


@dataclass
class Survey:
    """What was counted.

    Attributes:
        candidates: by source.
        kept: clips in the shards, by source and split.
        pending: clips that wait for captions, by source.
        rejected: by source, stage and reason.
        frames: of kept clips, by source.
        licences: kept clips by source, licence and whether commercial use is allowed.
        published: kept clips by source and where they were published, for whoever has to name it.
        spreads: by measurement, over kept clips.
        num_captions: all of them, and how many are different.
        authors: clips by who captioned them.
        examples: some clips, chosen by the hash of their ids.
    """

    candidates: Counter[str] = field(default_factory=Counter)
    kept: Counter[tuple[str, str]] = field(default_factory=Counter)
    pending: Counter[str] = field(default_factory=Counter)
    rejected: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    frames: Counter[str] = field(default_factory=Counter)
    licences: Counter[tuple[str, str, bool]] = field(default_factory=Counter)
    published: Counter[tuple[str, str]] = field(default_factory=Counter)
    spreads: dict[str, Spread] = field(default_factory=lambda: defaultdict(Spread))
    num_captions: tuple[int, int] = (0, 0)
    authors: Counter[str] = field(default_factory=Counter)
    examples: list[Example] = field(default_factory=list)

    @property
    def sources(self) -> list[str]:
        return sorted(self.candidates)

    def kept_of(self, source: str) -> int:
        """Clips of a source in the shards."""
        return sum(count for (name, _), count in self.kept.items() if name == source)

    def rejected_of(self, source: str) -> int:
        """Clips of a source that were left out."""
        return sum(count for (name, _, _), count in self.rejected.items() if name == source)

    def by_reason(self) -> Counter[tuple[str, str]]:
        """Left out, by stage and reason."""
        total: Counter[tuple[str, str]] = Counter()
        for (_, stage, reason), count in self.rejected.items():
            total[stage, reason] += count
        return total


_COLUMNS = ("id", "source", "licence", "commercial", "frames", "measurements", "provenance")


def survey(folder: Folder, units: Sequence[str], spread_over: Sequence[str] = ()) -> Survey:
    """Count everything.

    Args:
        spread_over: measurements whose values are spread in bins.

    Raises:
        DamagedFileError: a file that is not whole.
    """
    with Surveyor(folder, spread_over) as surveyor:
        for unit in units:
            surveyor.add(unit)
        return surveyor.result()


class Surveyor:
    """Counts a data set unit by unit, in any order, as they are finished."""

    def __init__(self, folder: Folder, spread_over: Sequence[str] = ()) -> None:
        self._folder, self._spread_over = folder, spread_over
        self._counts = Survey()
        self._num_captions = 0
        self._hashes = Scratch(np.dtype(np.uint64), _CAPTION_PARTS, folder.scratch)
        self._chosen: list[tuple[int, Example]] = []

    def add(self, unit: str) -> None:
        """Count one more unit. Raises DamagedFileError."""
        folder = self._folder
        path = folder.file("captions", unit)
        words = {row.id: row for row in read_words(path)} if path.is_file() else {}
        decisions = {row.id: row for row in read_decisions(folder, unit)}
        values: dict[str, list[float]] = {name: [] for name in self._spread_over}
        texts: list[str] = []
        for candidate in read_candidates(folder.file("candidates", unit), only=_COLUMNS):
            decision, said = decisions.get(candidate.id), words.get(candidate.id)
            if not _count(self._counts, candidate, decision, said):
                continue
            assert said is not None
            assert decision is not None
            texts += said.captions
            for name in self._spread_over:
                if name in candidate.measurements:
                    values[name].append(candidate.measurements[name])
            self._choose(candidate, decision.split, said.captions[0])
        self._num_captions += len(texts)
        hashes = _hashes(texts)
        self._hashes.add_sorted((hashes % _CAPTION_PARTS).astype(np.int64), hashes)
        for name, found in values.items():
            self._counts.spreads[name].add(found)

    def result(self) -> Survey:
        """All that was counted."""
        parts = (self._hashes.read(part) for part in range(_CAPTION_PARTS))
        different = sum(len(np.unique(part)) for part in parts)
        self._counts.num_captions = self._num_captions, different
        self._counts.examples = [example for _, example in sorted(self._chosen, reverse=True)]
        return self._counts

    def __enter__(self) -> Surveyor:
        return self

    def __exit__(self, *_: object) -> None:
        self._hashes.close()

    def _choose(self, candidate: Candidate, split: str, caption: str) -> None:
        """Keep the clip as an example if the hash of its id is among the least."""
        key = -int.from_bytes(hashlib.sha256(candidate.id.encode()).digest()[:8])
        push = heapq.heappush if len(self._chosen) < NUM_EXAMPLES else heapq.heappushpop
        push(self._chosen, (key, Example(candidate.id, split, candidate.frames / 30, caption)))


def _count(
    result: Survey, candidate: Candidate, decision: Decision | None, words: Words | None
) -> bool:
    """Add a candidate to the counts; says whether it is in a shard."""
    source = candidate.source
    result.candidates[source] += 1
    reject = None if decision is None else decision.reject
    if reject is not None:
        result.rejected[source, reject.stage, reason_in_general(reject.reason)] += 1
        return False
    if decision is None or words is None or words.pending:
        result.pending[source] += 1
        return False
    result.kept[source, decision.split] += 1
    result.frames[source] += candidate.frames
    result.licences[source, candidate.licence, candidate.commercial] += 1
    result.published[source, str(candidate.provenance.get("published", ""))] += 1
    result.authors[str(words.details.get("origin", "description"))] += 1
    return True


def reason_in_general(reason: str) -> str:
    """A reason without what belongs to one clip: "contained in bandai/x" -> "contained in another clip".

    Also without a file's name, its line and what was found there: "a.bvh, line 3: expected X, got Y" -> "expected X".
    """
    for start in ("contained in", "mirror image of"):
        if reason.startswith(start):
            return f"{start} another clip"
    if reason.startswith("would bridge"):
        return "would bridge two splits"
    reason = _FILE.sub("", reason).partition(", got ")[0]
    return reason if len(reason) <= 120 else f"{reason[:117]}..."


def _hashes(texts: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    numbers = [
        int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) for text in texts
    ]
    return np.unique(np.array(numbers, np.uint64))
