"""A built data set -> its README.md: counts that add up, licences, splits, held-out pairs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from motionmill.data.config import SPLITS, DataConfig
from motionmill.data.shards import read_shard
from motionmill.motion.features import FEATURES_FPS


def write_card(dataset: Path, config: DataConfig) -> None:
    """Write `README.md` into the data set."""
    split_of: dict[str, str] = {}
    for split in SPLITS:
        text = (dataset / "splits" / f"{split}.txt").read_text(encoding="utf-8")
        split_of.update(dict.fromkeys(text.splitlines(), split))

    clips: Counter[tuple[str, str]] = Counter()
    hours: Counter[str] = Counter()
    licences: Counter[tuple[str, str, bool]] = Counter()
    captions: Counter[str] = Counter()
    for path in sorted((dataset / "shards").glob("*.parquet")):
        for clip in read_shard(path):
            clips[clip.source, split_of[clip.id]] += 1
            hours[clip.source] += len(clip)
            licences[clip.source, clip.licence, clip.commercial] += 1
            captions.update(clip.captions)
    rejects = _count_rejects(dataset)

    sources = sorted(hours)
    lines = [
        f"# {dataset.resolve().name}",
        "",
        f"{sum(clips.values())} clips, {sum(hours.values()) / FEATURES_FPS / 3600:.2f} h at 30 fps, "
        f"{len(captions)} different captions. Features: the 272 numbers a frame of `motionmill.motion.features`, "
        "on the skeleton of `motionmill.motion.skeleton`.",
        "",
        "| source | " + " | ".join(SPLITS) + " | clips | hours |",
        "|" + "---|" * (len(SPLITS) + 3),
    ]
    for source in sources:
        counts = [clips[source, split] for split in SPLITS]
        row = [
            source,
            *map(str, counts),
            str(sum(counts)),
            f"{hours[source] / FEATURES_FPS / 3600:.2f}",
        ]
        lines.append("| " + " | ".join(row) + " |")
    lines += ["", "## Left out", "", "| stage | reason | recordings |", "|---|---|---|"]
    lines += [
        f"| {stage} | {reason} | {count} |" for (stage, reason), count in rejects.most_common()
    ]
    lines += ["", "## Held-out combinations", "", "| content | style | split |", "|---|---|---|"]
    lines += [f"| {pair.content} | {pair.style} | {pair.split} |" for pair in config.held_out_pairs]
    lines += [
        "",
        "## Licences",
        "",
        "| source | licence | commercial use | clips |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {source} | {licence or 'unknown'} | {'yes' if commercial else 'no'} | {count} |"
        for (source, licence, commercial), count in sorted(licences.items())
    ]
    lines += ["", *_class_table(), ""]
    (dataset / "README.md").write_text("\n".join(lines), encoding="utf-8")


def _count_rejects(dataset: Path) -> Counter[tuple[str, str]]:
    import json

    counts: Counter[tuple[str, str]] = Counter()
    for path in sorted((dataset / "rejects").glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            counts[row["stage"], row["reason"]] += 1
    return counts


def _class_table() -> list[str]:
    from motionmill.data.captions import CONTENT_CLASSES, STYLE_CLASSES

    lines = [
        "## Judge classes",
        "",
        "Labels that name the same motion or manner count as one class for held-out pairs and for recognition.",
        "",
        "| kind | label | class |",
        "|---|---|---|",
    ]
    for kind, table in (("content", CONTENT_CLASSES), ("style", STYLE_CLASSES)):
        lines += [f"| {kind} | {raw} | {name} |" for raw, name in table.items() if raw != name]
    return lines
