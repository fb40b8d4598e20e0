"""Where motion comes from: packed shards, motion files, data sets of others, videos -> recordings in one form.

A recording is one take with its labels; its motion is read only when asked for. An input is a list of keys, from which
any worker finds its recordings again without listing the others.
"""

from __future__ import annotations

import codecs
import functools
import itertools
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from motionmill.data.clip import Reject
from motionmill.data.config import ReadConfig
from motionmill.formats import humanml3d, motionmillion, packed, reading
from motionmill.formats.clips import names_below
from motionmill.motion.motion import Motion

logger = logging.getLogger(__name__)

Kind = Literal["packed", "motionmillion", "humanml3d", "files", "videos"]

VIDEO_SUFFIXES: Final = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mpg", ".mpeg")
_PASSED_OVER: Final = (
    ".fbx",
    ".c3d",
    ".trc",
    ".mvnx",
    ".usd",
    ".usda",
    ".usdc",
    ".usdz",
    ".pt",
    ".pkl",
)
"""Motion that is not read, or is only where it is named because most files of this suffix are something else."""
_MAX_CAPTION_BYTES: Final = 1 << 20
_SHOWN_NAMES: Final = 3


@dataclass(frozen=True)
class Recording:
    """A take before retargeting.

    Attributes:
        id: `SOURCE/NAME`.
        source: name of the input folder.
        read: gives the motion on the source's own skeleton.
        licence: terms of use, as the source words them.
        group: recordings of one group never part in a split.
        labels: what the source says of the take: captions, content, style, segments, ...
        unusable: why the take is known to be no use, or "".
        measurements: what was measured before, on the video.
        provenance: what leads back to the original, besides the labels.
        prepared: whether the motion is on our skeleton already.
        reject: why it was left out before it came here.
        has_motion: whether there is anything to read.
    """

    id: str
    source: str
    read: Callable[[], Motion]
    licence: str
    group: str
    labels: Mapping[str, Any] = field(default_factory=dict)
    unusable: str = ""
    measurements: Mapping[str, float] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    prepared: bool = False
    reject: Reject | None = None
    has_motion: bool = True

    @property
    def commercial(self) -> bool:
        """Whether the licence allows commercial use: known, and without a non-commercial clause."""
        return allows_commercial_use(self.licence)


@dataclass(frozen=True)
class Input:
    """Recordings or videos of one place.

    Attributes:
        kind: what lies there.
        source: name of the folder; ids start with it.
        path: the folder.
        keys: names of the clips, or paths of the files below the folder.
    """

    kind: Kind
    source: str
    path: Path
    keys: tuple[str, ...]


def allows_commercial_use(licence: str) -> bool:
    """Whether a licence is known and has no non-commercial clause."""
    return bool(licence) and re.search(r"\bNC\b|non-?commercial", licence, re.IGNORECASE) is None


def find_inputs(paths: Sequence[Path], config: ReadConfig) -> list[Input]:
    """What lies at some paths, in order; several files of one folder are one input.

    A path is a motion file, a video, or a folder: of packed shards, in the layout of MotionMillion or HumanML3D, or
    with any of these and with files at any depth.

    Raises:
        FileNotFoundError: nothing there.
        ValueError: nothing in it that can be read; two folders of one name.
    """
    found: dict[tuple[str, Kind], Input] = {}
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file or folder")
        inside = list(_inputs_at(path.resolve(), config))
        if not inside:
            raise ValueError(
                f"{path}: nothing to read; expected packed shards, motion files "
                f"({', '.join(reading.suffixes_of(config.format))}) or videos ({', '.join(VIDEO_SUFFIXES)})"
            )
        for one in inside:
            other = found.get((one.source, one.kind))
            if other is not None and other.path != one.path:
                raise ValueError(
                    f"{other.path} and {one.path} have the same name; rename one, its clips' ids start with it"
                )
            keys = one.keys if other is None else (*other.keys, *one.keys)
            found[one.source, one.kind] = Input(
                one.kind, one.source, one.path, tuple(dict.fromkeys(keys))
            )
    _check_names(found.values())
    return list(found.values())


def recordings(one: Input, config: ReadConfig) -> Iterator[Recording]:
    """The recordings of the keys of an input that holds motion.

    Raises:
        ValueError: a key that is not there any more, or a damaged manifest.
    """
    match one.kind:
        case "packed":
            clips = _manifest(one.path)
            for key in one.keys:
                if key not in clips:
                    raise ValueError(f"{one.path}: clip {key} is not in manifest.jsonl any more")
                yield _packed(clips[key], one.source)
        case "motionmillion" | "humanml3d":
            for key in one.keys:
                yield _of_layout(one, key, config)
        case "files":
            for key in one.keys:
                yield _of_file(one, key, config)
        case _:
            raise ValueError(f"{one.path}: videos hold no recordings before stage 4")


def still_there(file: Path, folder: Path) -> Path:
    """The file. Raises ValueError where it was deleted from an input that is there; one that is away is no bad file."""
    if not file.exists() and folder.is_dir():
        raise ValueError(f"{file.name}: not there any more")
    return file


def _inputs_at(path: Path, config: ReadConfig) -> Iterator[Input]:
    if path.is_file():
        kind: Kind = "videos" if path.suffix.lower() in VIDEO_SUFFIXES else "files"
        readable = reading.READERS if config.format is None else reading.suffixes_of(config.format)
        if kind == "videos" or path.suffix.lower() in readable:
            yield Input(kind, path.parent.name, path.parent, (path.name,))
        return
    if (path / "manifest.jsonl").is_file():
        keys = tuple(clip.id for clip in packed.read_manifest(path))
        yield Input("packed", path.name, path, keys)
        return
    if vectors := _layout(path):
        kind, folder = vectors
        yield Input(kind, path.name, path, tuple(names_below(folder)))
        return
    motions, videos, below = _listing(path, config)
    if motions:
        yield Input("files", path.name, path, tuple(motions))
    if videos:
        yield Input("videos", path.name, path, tuple(videos))
    for folder in below:
        yield from _inputs_at(folder, config)


def _check_names(inputs: Iterable[Input]) -> None:
    """Raise ValueError where names cannot be ids: lists of ids are UTF-8 text, one a line."""
    names = (f"{one.source}/{key}" for one in inputs for key in one.keys)
    bad = [name for name in names if not _is_utf8(name) or len(name.splitlines()) > 1]
    if bad:
        plain = (
            name.encode(errors="surrogateescape").decode(errors="backslashreplace") for name in bad
        )
        shown = "; ".join(repr(name) for name in itertools.islice(plain, _SHOWN_NAMES))
        raise ValueError(
            f"{len(bad)} names are not UTF-8 or have line breaks in them (first: {shown}); "
            "rename them: ids of clips are made of them"
        )


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _layout(path: Path) -> tuple[Kind, Path] | None:
    places: tuple[tuple[Kind, str], ...] = (
        ("motionmillion", motionmillion.VECTORS),
        ("humanml3d", humanml3d.VECTORS),
        ("humanml3d", humanml3d.JOINTS),
    )
    return next(((kind, path / name) for kind, name in places if (path / name).is_dir()), None)


def _listing(root: Path, config: ReadConfig) -> tuple[list[str], list[str], list[Path]]:
    """Motion files and videos below a folder, as relative paths, and folders in it that are inputs of their own."""
    suffixes = reading.suffixes_of(config.format)
    motions, videos, own = [], [], []
    passed_over: Counter[str] = Counter()
    waiting = [root]
    been: set[tuple[int, int]] = set()  # links may lead back to where they are
    while waiting:
        folder = waiting.pop()
        found = folder.stat()
        if (found.st_dev, found.st_ino) in been:
            continue
        been.add((found.st_dev, found.st_ino))
        for path in sorted(folder.iterdir()):
            if path.name.startswith("."):
                continue
            if path.is_dir():
                if (path / "manifest.jsonl").is_file() or _layout(path):
                    own.append(path)
                elif not (path / "units").is_dir():  # a data set of ours is no input
                    waiting.append(path)
            elif not path.is_file():
                logger.warning("%s is left out: it leads to no file", path)
            elif path.suffix.lower() in VIDEO_SUFFIXES:
                videos.append(path.relative_to(root).as_posix())
            elif path.suffix.lower() in suffixes and not path.name.endswith(".qpos.npz"):
                motions.append(path.relative_to(root).as_posix())
            elif path.suffix.lower() in _PASSED_OVER:
                passed_over[path.suffix.lower()] += 1
    if passed_over:
        counts = ", ".join(f"{count} {suffix}" for suffix, count in sorted(passed_over.items()))
        logger.warning("%s: %s files are left out; name them, or convert them first", root, counts)
    return sorted(motions), sorted(videos), sorted(own)


@functools.lru_cache(maxsize=2)
def _manifest(path: Path) -> dict[str, packed.PackedClip]:
    return {clip.id: clip for clip in packed.read_manifest(path)}


def _packed(clip: packed.PackedClip, source: str) -> Recording:
    labels = {**clip.manifest, "captions": list(clip.captions)}
    if trial := labels.get("cmu_trial"):
        group = f"cmu-trial/{trial}"  # the same trial lies in several folders
    elif "/sie/" in str(labels.get("path", "")):
        group = f"{source}/sie"  # its takes come in pairs that are copies or mirror images
    elif subject := labels.get("subject"):
        group = f"{source}/subject-{subject}"
    else:
        group = f"{source}/{labels.get('duplicate_of') or clip.id}"
    unusable = packed.DROPPED.get(clip.id, "")
    if not unusable and labels.get("primary") is False:
        unusable = "a duplicate of another recording"
    return Recording(
        f"{source}/{clip.id}",
        source,
        clip.motion,
        clip.licence,
        group,
        labels,
        unusable,
        provenance={"published": labels.get("source", ""), "path": labels.get("path", "")},
    )


def _of_layout(one: Input, key: str, config: ReadConfig) -> Recording:
    read: Callable[[Path], Motion]
    if one.kind == "motionmillion":
        folder, read = motionmillion.VECTORS, motionmillion.load_features
    else:
        vectors = (one.path / humanml3d.VECTORS).is_dir()
        folder = humanml3d.VECTORS if vectors else humanml3d.JOINTS
        read = humanml3d.load_features if vectors else humanml3d.load_joints
    file = one.path / folder / f"{key}.npy"
    texts = one.path / "texts" / f"{key}.txt"
    captions = []
    if texts.is_file():
        captions = [line.split("#")[0].strip() for line in _lines(texts)]
    return Recording(
        f"{one.source}/{key}",
        one.source,
        lambda: read(still_there(file, one.path)),
        config.licences.get(one.source, ""),
        f"{one.source}/{_without_mirror(key)}",
        {"captions": captions},
        provenance={"path": f"{folder}/{key}.npy"},
    )


def _without_mirror(name: str) -> str:
    """HumanML3D and MotionMillion call the mirror image of NAME `MNAME`; both are one recording."""
    folder, slash, last = name.rpartition("/")
    return folder + slash + re.sub(r"^M(?=\d)", "", last)


def _of_file(one: Input, key: str, config: ReadConfig) -> Recording:
    file = one.path / key
    captions = caption_lines(file)
    labels: dict[str, Any] = {"label": file.stem.replace("_", " ").replace("-", " ")}
    if captions:
        labels["captions"] = captions
    return Recording(
        f"{one.source}/{key}",
        one.source,
        lambda: reading.load(still_there(file, one.path), format=config.format, fps=config.fps),
        config.licences.get(one.source, ""),
        f"{one.source}/{key}",
        labels,
        provenance={"path": key},
    )


def caption_lines(file: Path) -> list[str]:
    """The captions beside a file: one a line of `walk.txt` beside `walk.bvh`; what follows a # is left out."""
    words = file.with_suffix(".txt")
    if words == file or not words.is_file():
        return []
    return [text for line in _lines(words) if (text := line.split("#")[0].strip())]


def _lines(path: Path) -> list[str]:
    """The lines of a text: UTF-8, UTF-16 that says so, or what Windows wrote before."""
    if path.stat().st_size > _MAX_CAPTION_BYTES:
        raise ValueError(f"{path}: over {_MAX_CAPTION_BYTES} bytes; expected captions, one a line")
    data = path.read_bytes()
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace").splitlines()
    try:
        return data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace").splitlines()
