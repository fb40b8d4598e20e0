"""A built data set -> its README.md: counts that add up, what was left out and why, spreads, licences, examples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from motionmill.config import Config
from motionmill.data.config import SPLITS, DataConfig
from motionmill.data.engine.survey import Survey, Surveyor, survey
from motionmill.data.engine.thresholds import effective
from motionmill.data.folder import Folder, write_text
from motionmill.motion.features import FEATURES_FPS

_MAX_REASONS: Final = 40
_MAX_PLACES: Final = 60
_BAR: Final = 40
_MORE_SPREADS: Final = ("frames",)


def surveyor_of(folder: Folder, config: DataConfig) -> Surveyor:
    """What counts the units of a data set for its card."""
    return Surveyor(folder, _spread_over(effective(folder, config)))


def write_card(folder: Folder, config: DataConfig, counted: Survey | None = None) -> Survey:
    """Write `README.md` into the data set; returns what was counted.

    Args:
        counted: by `surveyor_of`; by default it is counted now.
    """
    config = effective(folder, config)
    names = _spread_over(config)
    counted = counted or survey(folder, folder.units(), names)
    parts = (
        _head(folder, counted),
        _sources(counted),
        _left_out(counted),
        _spreads(counted, names),
        _licences(counted),
        _examples(counted),
        _thresholds(config),
        _held_out(config),
        _classes(),
    )
    write_text(folder.card, "\n".join(line for part in parts for line in (*part, "")))
    return counted


def _spread_over(config: DataConfig) -> list[str]:
    """Measurements that the card shows the spread of: length, and what has a limit."""
    limited = [
        measurement_of(name)
        for part in (config.transition, config.motion)
        for name in type(part).model_fields
    ]
    return list(dict.fromkeys([*_MORE_SPREADS, *limited]))


def measurement_of(threshold: str) -> str:
    """The measurement that a threshold limits: `max_root_speed` -> `root_speed`."""
    return threshold.removeprefix("max_").removeprefix("min_")


def _head(folder: Folder, counted: Survey) -> Iterator[str]:
    kept, frames = sum(counted.kept.values()), sum(counted.frames.values())
    total, different = counted.num_captions
    yield f"# {folder.root.resolve().name}"
    yield ""
    yield (
        f"{kept} clips, {frames / FEATURES_FPS / 3600:.2f} h at 30 fps, {total} captions, {different} of them "
        "different. Features: the 272 numbers a frame of `motionmill.motion.features`, on the skeleton of "
        "`motionmill.motion.skeleton`. `statistics.safetensors` has mean and deviation of train."
    )
    yield ""
    yield "Captions come from " + ", ".join(
        f"{author} ({count} clips)" for author, count in sorted(counted.authors.items())
    )


def _sources(counted: Survey) -> Iterator[str]:
    yield "## Clips"
    yield ""
    yield "Candidates are the clips that the inputs were cut into; each is kept, rejected, or waits for a caption."
    yield ""
    rows = []
    for source in counted.sources:
        splits = [counted.kept[source, split] for split in SPLITS]
        hours = counted.frames[source] / FEATURES_FPS / 3600
        row = (
            counted.candidates[source],
            counted.rejected_of(source),
            counted.pending[source],
            counted.kept_of(source),
        )
        rows.append([source, *map(str, (*row, *splits)), f"{hours:.2f}"])
    if len(rows) > 1:
        sums = [str(sum(int(row[place]) for row in rows)) for place in range(1, 5 + len(SPLITS))]
        hours = sum(counted.frames.values()) / FEATURES_FPS / 3600
        rows.append(["all", *sums, f"{hours:.2f}"])
    header = ("source", "candidates", "rejected", "waiting", "kept", *SPLITS, "hours")
    yield from _table(header, rows)


def _left_out(counted: Survey) -> Iterator[str]:
    reasons = sorted(counted.by_reason().items(), key=lambda item: (-item[1], item[0]))
    yield "## Left out"
    yield ""
    shown = [[stage, reason, str(count)] for (stage, reason), count in reasons[:_MAX_REASONS]]
    if len(reasons) > _MAX_REASONS:
        rest = sum(count for _, count in reasons[_MAX_REASONS:])
        shown.append(["", f"{len(reasons) - _MAX_REASONS} more reasons", str(rest)])
    yield from _table(("stage", "reason", "clips"), shown)
    yield ""
    yield "Each has its line in `rejects/` with the value that was measured and the threshold."


def _spreads(counted: Survey, names: Sequence[str]) -> Iterator[str]:
    yield "## How the kept clips are spread"
    for name in names:
        bins = counted.spreads[name].bins()
        if not bins:
            continue
        most = max(count for _, _, count in bins)
        yield ""
        yield f"{name}"
        yield ""
        yield "```"
        for start, end, count in bins:
            bar = "#" * round(_BAR * count / most)
            yield f"{start:>10.4g} to {end:<10.4g} {count:>8} {bar}".rstrip()
        yield "```"


def _licences(counted: Survey) -> Iterator[str]:
    yield "## Licences"
    yield ""
    yield "Every clip carries its licence, its source and where it was published, in the shards."
    yield ""
    rows = [
        [source, _cell(licence) or "unknown", "yes" if commercial else "no", str(count)]
        for (source, licence, commercial), count in sorted(counted.licences.items())
    ]
    yield from _table(("source", "licence", "commercial use", "clips"), rows)
    places = [
        [source, place, str(count)]
        for (source, place), count in sorted(counted.published.items())
        if place
    ]
    if places:
        yield ""
        yield from _table(("source", "published at", "clips"), places[:_MAX_PLACES])


def _examples(counted: Survey) -> Iterator[str]:
    yield "## Examples"
    yield ""
    rows = [
        [f"`{example.id}`", example.split, f"{example.seconds:.1f}", _cell(example.caption)]
        for example in counted.examples
    ]
    yield from _table(("clip", "split", "seconds", "first caption"), rows)


def _thresholds(config: DataConfig) -> Iterator[str]:
    yield "## Thresholds"
    yield ""
    parts: tuple[tuple[str, Config], ...] = (
        ("transition", config.transition),
        ("motion", config.motion),
        ("cut", config.cut),
        ("duplicates", config.duplicates),
    )
    rows = [
        [part, name, str(value)]
        for part, values in parts
        for name, value in values.model_dump().items()
    ]
    yield from _table(("part", "name", "value"), rows)


def _held_out(config: DataConfig) -> Iterator[str]:
    yield "## Held-out combinations"
    yield ""
    rows = [[pair.content, pair.style, pair.split] for pair in config.splits.held_out_pairs]
    yield from _table(("content", "style", "split"), rows)


def _classes() -> Iterator[str]:
    from motionmill.data.wording.captions import CONTENT_CLASSES, STYLE_CLASSES

    yield "## Judge classes"
    yield ""
    yield "Labels that name the same motion or manner count as one class for held-out pairs and for recognition."
    yield ""
    rows = [
        [kind, raw, name]
        for kind, table in (("content", CONTENT_CLASSES), ("style", STYLE_CLASSES))
        for raw, name in table.items()
        if raw != name
    ]
    yield from _table(("kind", "label", "class"), rows)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(header) + " |"
    yield "|" + "---|" * len(header)
    for row in rows:
        yield "| " + " | ".join(_cell(cell) for cell in row) + " |"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "/").split())
