"""Measurements of motions over seeds -> a table of metrics with intervals, and the JSON and Markdown it is kept in."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from motionmill.training.weights import write_text

RESULTS_NAME = "results.json"
_FORMAT = 1

# Tables, and name, heading and digits of each column; what is not measured stays empty.
TABLES = {
    "Text and likeness": (
        ("r_at_1", "R@1", 3),
        ("r_at_2", "R@2", 3),
        ("r_at_3", "R@3", 3),
        ("mm_distance", "MM-Dist", 2),
        ("fid_real", "FID real", 2),
        ("fid_reconstructed", "FID recon", 2),
        ("diversity", "Diversity", 2),
        ("multimodality", "MModality", 2),
        ("content", "content %", 1),
        ("style", "style %", 1),
        ("both", "both %", 1),
    ),
    "Body and tokens": (
        ("foot_slide_mm", "slide mm", 2),
        ("floating_percent", "floating %", 2),
        ("penetration_mm", "penetration mm", 1),
        ("jitter", "jitter", 2),
        ("seconds", "seconds", 2),
        ("mpjpe_mm", "MPJPE mm", 1),
        ("mpjpe_global_mm", "MPJPE global mm", 1),
        ("acceleration_error", "acceleration m/s²", 2),
        ("codes_used", "codes used %", 1),
        ("code_perplexity", "code perplexity", 0),
    ),
}
COLUMNS = tuple(column for columns in TABLES.values() for column in columns)


class Interval(NamedTuple):
    """Mean over seeds and its 95 % interval (Student's t); the interval is the mean itself where there is one seed."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Interval:
        """Raises ValueError for no values."""
        count = len(values)
        if count == 0:
            raise ValueError("an interval of no values")
        mean = math.fsum(values) / count
        if count == 1:
            return cls(mean, mean, mean)
        variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
        half = _student_t(count - 1) * math.sqrt(variance / count)
        return cls(mean, mean - half, mean + half)


@dataclass(frozen=True)
class Results:
    """What `results.json` holds.

    Attributes:
        system: what was measured.
        facts: protocol, data, sample set, seeds, evaluator, host, ...: all that a number depends on.
        rows: row -> metric -> values, one a seed.
    """

    system: str
    facts: Mapping[str, Any]
    rows: Mapping[str, Mapping[str, Sequence[float]]]

    def interval(self, row: str, metric: str) -> Interval | None:
        values = self.rows[row].get(metric)
        return Interval.of(values) if values else None

    def save(self, folder: Path) -> None:
        """Write `results.json` and `table.md`."""
        rows = {
            row: {
                metric: {**Interval.of(values)._asdict(), "values": list(values)}
                for metric, values in metrics.items()
                if values
            }
            for row, metrics in self.rows.items()
        }
        content = {"format": _FORMAT, "system": self.system, **self.facts, "rows": rows}
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / RESULTS_NAME, json.dumps(content, indent=1) + "\n")
        write_text(folder / "table.md", markdown([self]))

    @classmethod
    def load(cls, path: Path) -> Results:
        """From `results.json` or its folder.

        Raises:
            FileNotFoundError: not there.
            ValueError: not such a file.
        """
        file = path / RESULTS_NAME if path.is_dir() else path
        if not file.is_file():
            raise FileNotFoundError(f"{file}: no such file; `motionmill evaluate` writes it")
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            rows = {
                row: {
                    metric: list(map(float, value["values"])) for metric, value in metrics.items()
                }
                for row, metrics in content.pop("rows").items()
            }
            if content.pop("format") != _FORMAT:
                raise ValueError("another version")
            return cls(content.pop("system"), content, rows)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{file}: expected results of `motionmill evaluate` ({type(error).__name__}: {error})"
            ) from None


def check_comparable(results: Sequence[Results]) -> None:
    """Whether results may stand in one table; how many seeds there are, and which rows, may differ.

    Raises:
        ValueError: they differ in protocol, samples or evaluator; the message says in which.
    """
    for other in results[1:]:
        for name in ("protocol", "sample_set", "evaluator"):
            first, second = (_binding(each.facts.get(name)) for each in (results[0], other))
            if first != second:
                raise ValueError(
                    f"{results[0].system} and {other.system} do not compare: {_difference(name, first, second)}; "
                    "measure both alike"
                )


def lines_of(results: Sequence[Results]) -> list[tuple[str, Results, str]]:
    """Label, results and row of every line of a table of comparable results.

    The rows that do not depend on the system come once, then each system's own.
    """
    check_comparable(results)
    lines: list[tuple[str, Results, str]] = []
    seen: set[str] = set()
    for result in results:
        for row in result.rows:
            if row not in SHARED_ROWS:
                lines.append((f"{result.system}: {row}", result, row))
            elif row not in seen:
                lines.append((row, result, row))
                seen.add(row)
    return lines


def columns_of(table: str, lines: Sequence[tuple[str, Results, str]]) -> list[tuple[str, str, int]]:
    """The columns of one of `TABLES` in which any of these lines has a value."""
    return [
        column for column in TABLES[table] if any(r.rows[row].get(column[0]) for _, r, row in lines)
    ]


def markdown(results: Sequence[Results]) -> str:
    """The tables of comparable results; a line without a value in a table is left out of it."""
    parts = []
    for title in TABLES:
        lines = lines_of(results)
        columns = columns_of(title, lines)
        rows = [f"| {title} | " + " | ".join(heading for _, heading, _ in columns) + " |"]
        rows.append("|---" * (len(columns) + 1) + "|")
        for label, result, row in lines:
            cells = [_cell(result.interval(row, metric), digits) for metric, _, digits in columns]
            if any(cells):
                rows.append(f"| {label} | " + " | ".join(cells) + " |")
        if columns:
            parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


FREE_TO_DIFFER = ("seeds", "free_length")  # of a protocol
SHARED_ROWS = ("real", "real, captions shuffled", "real, random texts")


def _cell(interval: Interval | None, digits: int) -> str:
    if interval is None:
        return ""
    half = interval.high - interval.mean
    spread = f" ± {half:.{digits}f}" if half > 1e-9 * abs(interval.mean) else ""
    return f"{interval.mean:.{digits}f}{spread}"


def _binding(fact: Any) -> Any:
    """What two results must have in common, of a fact."""
    if not isinstance(fact, Mapping):
        return fact
    return {name: value for name, value in fact.items() if name not in FREE_TO_DIFFER}


def _difference(name: str, first: object, second: object) -> str:
    """In words; of protocols only what differs."""
    if not isinstance(first, Mapping) or not isinstance(second, Mapping):
        return f"{name} {json.dumps(first)} and {json.dumps(second)}"
    keys = sorted({*first, *second}, key=lambda key: (key != "name", key))
    return ", ".join(
        _difference(f"{name} {key}".removesuffix(" name"), first.get(key), second.get(key))
        for key in keys
        if first.get(key) != second.get(key)
    )


def _student_t(freedom: int) -> float:
    """The 97.5 % quantile of Student's t."""
    from scipy.stats import t

    return float(t.ppf(0.975, freedom))
