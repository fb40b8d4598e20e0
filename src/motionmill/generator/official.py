"""Released checkpoints of the paper -> a release folder of ours, without running any code that they may hold.

A checkpoint is `{'net': tensors}` (tokenizer) or `{'trans': tensors}` (generator), with or without `module.` before
the names, alone or inside a .zip archive. Source of names and shapes: the official implementation.
"""

from __future__ import annotations

import pickle
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from motionmill.generator.config import (
    PRESETS,
    GeneratorConfig,
    ReleaseConfig,
    SamplingConfig,
    official_config,
)
from motionmill.generator.model import Generator
from motionmill.generator.release import CARD_NAME
from motionmill.motion.features import NUM_FEATURES, Normalizer
from motionmill.tokenizer.config import TokenizerConfig
from motionmill.tokenizer.encode import STATISTICS_NAME
from motionmill.tokenizer.model import Tokenizer
from motionmill.training.weights import (
    CONFIG_NAME,
    save_model,
    save_tensors,
    write_sums,
    write_text,
)

OFFICIAL_TOKENIZER = TokenizerConfig(
    width=512,
    code_width=512,
    levels=(8, 8, 8, 5, 5, 5),
    num_downsamples=1,
    depth=3,
    causal_encoder=False,
    causal_decoder=False,
)
TEXT_ENCODER = "google/flan-t5-xl"
_SHARD_BYTES = 1 << 30
_GENERATOR_NAMES = (
    ("transformer.wte", "embedding"),
    ("transformer.ln_f", "norm"),
    ("transformer.h", "blocks"),
    ("lm_head", "head"),
    ("llama_proj", "text_projection"),
    ("rms_1", "attention_norm"),
    ("rms_2", "feed_forward_norm"),
    ("attn.c_attn", "attention.queries_keys_values"),
    ("attn.c_proj", "attention.output"),
    ("mlp.c_fc1", "feed_forward.gate"),
    ("mlp.c_fc2", "feed_forward.up"),
    ("mlp.c_proj", "feed_forward.down"),
)


def import_official(
    tokenizer: Path,
    generator: Path,
    statistics: Path,
    output: Path,
    *,
    name: str = "",
    heads: int | None = None,
    text_encoder: str = TEXT_ENCODER,
    tokenizer_config: TokenizerConfig = OFFICIAL_TOKENIZER,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Convert; parameters keep the precision in which they are stored.

    Args:
        tokenizer: checkpoint with 'net', or a .zip that holds it.
        generator: checkpoint with 'trans', or a .zip that holds it.
        statistics: folder of `mean.npy` and `std.npy`, (272,) each.
        output: the release folder.
        name: of the release; the preset's by default.
        heads: attention heads, for a generator that is no preset (shapes do not tell them).
        text_encoder: folder or Hub name of the T5 encoder whose states the generator was trained on.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not such a checkpoint, damaged, or tensors missing, unknown or of another shape.
    """
    normalizer = read_statistics(statistics)
    scratch = output.resolve().parent
    scratch.mkdir(parents=True, exist_ok=True)
    with (
        opened(tokenizer, "net", scratch) as read_net,
        opened(generator, "trans", scratch) as read_trans,
    ):
        net_names = _tokenizer_names(tokenizer, read_net(), tokenizer_config)
        config = generator_config(generator, read_trans(), heads)
        with torch.device("meta"):
            model = Generator(config)
        trans_names = {key: generator_name(key) for key in read_trans()}
        _check(generator, read_trans(), trans_names, model)
        if config.num_codes != tokenizer_config.num_codes:
            raise ValueError(
                f"{generator}: made for {config.num_codes} codes, but {tokenizer} has {tokenizer_config.num_codes}"
            )
        save_model(_renamed(read_net, net_names), tokenizer_config, output / "tokenizer")
        tensors = _renamed(read_trans, trans_names, progress)
        save_model(tensors, config, output / "generator", shard_bytes=_SHARD_BYTES)
    save_tensors({"mean": normalizer.mean, "std": normalizer.std}, output / STATISTICS_NAME)
    preset = next((key for key, value in PRESETS.items() if value == _size(config)), "custom")
    release = ReleaseConfig(
        name=name or f"official-{preset}",
        licence="as the checkpoints; see their authors' terms",
        attribution="Weights of the paper Go to Zero (MotionMillion), by its authors.",
        text_encoder="t5",
        text_encoder_path=text_encoder,
        sampling=SamplingConfig(temperature=0.0, guidance=1.0),
        own_skeleton=False,
    )
    write_text(output / CONFIG_NAME, release.model_dump_json(indent=2) + "\n")
    count = sum(parameter.numel() for parameter in model.parameters())
    write_text(output / CARD_NAME, _card(release, preset, count, tokenizer, generator))
    write_sums(output)
    return output


def _tokenizer_names(
    path: Path, tensors: Mapping[str, Tensor], config: TokenizerConfig
) -> dict[str, str]:
    """Their names and ours of all that we keep, checked."""
    named = {key: tokenizer_name(key, tensors, config) for key in tensors}
    names = {key: ours for key, ours in named.items() if ours is not None}
    _check(path, tensors, names, Tokenizer(config))
    return names


def generator_name(key: str) -> str:
    """The name of an official generator parameter in our model."""
    key = key.removeprefix("module.")
    for theirs, ours in _GENERATOR_NAMES:
        key = key.replace(theirs, ours)
    return key


def tokenizer_name(key: str, keys: Mapping[str, Any], config: TokenizerConfig) -> str | None:
    """The name of an official tokenizer parameter in our model; None for buffers that we compute.

    Args:
        keys: all of the checkpoint's; whether it has a patcher shifts the numbers of the encoder's layers.
    """
    prefix = "module." if key.startswith("module.") else ""
    key = key.removeprefix("module.").removeprefix("vqvae.")
    if key.endswith(("wavelets", "_arange")):
        return None
    key = key.replace(".conv.weight", ".weight").replace(".conv.bias", ".bias")
    key = key.replace("quantizer.project_", "project_")
    part, _, rest = key.partition(".model.")
    index, _, rest = rest.partition(".")
    if part not in ("encoder", "decoder") or not index.isdigit():
        return key
    place = int(index)
    if part == "encoder":
        place -= int(f"{prefix}vqvae.encoder.model.0.wavelets" in keys)
        if place == 0:
            return f"encoder.input.{rest}"
        if "." not in rest:
            return f"encoder.output.{rest}"
        return f"encoder.downsamples.{place - 2}.{_in_stage(rest, 1, 0, config.depth)}"
    if place == 0:
        return f"decoder.input.{rest}"
    if "." in rest:
        return f"decoder.upsamples.{place - 2}.{_in_stage(rest, 0, 2, config.depth)}"
    return f"decoder.{'hidden' if place == 2 + config.num_downsamples else 'output'}.{rest}"


def _in_stage(rest: str, blocks_at: int, conv_at: int, depth: int) -> str:
    """Inside a stage theirs nests the residual blocks, ours lists them beside the convolution."""
    match = re.fullmatch(rf"{blocks_at}\.model\.(\d+)\.(.+)", rest)
    if match:
        return f"{blocks_at + int(match[1])}.{match[2]}"
    conv = conv_at + depth - 1 if blocks_at == 0 else conv_at
    return rest.replace(f"{conv_at}.", f"{conv}.", 1)


def generator_config(
    path: Path, tensors: Mapping[str, Tensor], heads: int | None
) -> GeneratorConfig:
    """What the shapes of a checkpoint say; the heads are those of the preset of this size.

    Raises:
        ValueError: no embedding, or no preset of this size and no `heads`.
    """
    shapes = {generator_name(key): tuple(tensor.shape) for key, tensor in tensors.items()}
    embedding, text = shapes.get("embedding.weight"), shapes.get("text_projection.weight")
    if embedding is None or text is None or len(embedding) != 2 or len(text) != 2:
        raise ValueError(
            f"{path}: no generator of the paper; expected transformer.wte.weight and llama_proj.weight"
        )
    layers = {name.split(".")[1] for name in shapes if name.startswith("blocks.")}
    known = {(size[0], size[2]): size[1] for size in PRESETS.values()}
    heads = heads or known.get((len(layers), embedding[1]))
    if heads is None:
        raise ValueError(
            f"{path}: {len(layers)} layers of width {embedding[1]} are no preset; say --heads, shapes do not tell them"
        )
    return official_config(
        len(layers), heads, embedding[1], num_codes=embedding[0] - 2, text_width=text[1]
    )


def read_statistics(folder: Path) -> Normalizer:
    """`mean.npy` and `std.npy` of a folder. Raises FileNotFoundError or ValueError."""
    values = []
    for name in ("mean.npy", "std.npy"):
        path = folder / name
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file; expected mean.npy and std.npy")
        try:
            array = np.load(path, allow_pickle=False)
        except (ValueError, EOFError):
            raise ValueError(f"{path}: not a NumPy array file") from None
        if array.shape != (NUM_FEATURES,) or not np.isfinite(array).all():
            raise ValueError(
                f"{path}: shape {array.shape}; expected ({NUM_FEATURES},) finite numbers"
            )
        values.append(torch.from_numpy(array.astype(np.float64)))
    if not bool((values[1] > 0).all()):
        raise ValueError(f"{folder / 'std.npy'}: not all above 0; expected standard deviations")
    return Normalizer(values[0], values[1])


@contextmanager
def opened(path: Path, key: str, scratch: Path) -> Iterator[Callable[[], dict[str, Tensor]]]:
    """A function that maps the tensors of a checkpoint into memory, anew at each call.

    What is in an archive is extracted into a folder below `scratch` first (temporary folders are memory on many
    machines).

    The pages that a mapping has touched count as memory until it is dropped, so whoever passes through a large
    checkpoint calls it now and then.

    Raises:
        FileNotFoundError, ValueError: no such file, or no checkpoint with `key`.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    with tempfile.TemporaryDirectory(prefix=".motionmill-", dir=scratch) as folder:
        file = _unzipped(path, Path(folder))
        yield lambda: _tensors(path, file, key)


def _unzipped(path: Path, scratch: Path) -> Path:
    """The checkpoint inside an archive, extracted; a checkpoint itself (which torch stores as a zip) as it is."""
    if not zipfile.is_zipfile(path):
        return path
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if not info.is_dir()]
            if any(info.filename.endswith("/data.pkl") for info in members):
                return path
            inside = [info for info in members if info.filename.endswith((".pth", ".pt", ".ckpt"))]
            if len(inside) != 1:
                found = ", ".join(info.filename for info in inside) or "none"
                raise ValueError(f"{path}: an archive with {found}; expected one .pth file in it")
            free = shutil.disk_usage(scratch).free
            if inside[0].file_size > free:
                raise ValueError(
                    f"{path}: {inside[0].filename} has {inside[0].file_size:,} bytes, {free:,} are free in "
                    f"{scratch.parent}; make room or name an output elsewhere"
                )
            target = scratch / "checkpoint.pth"
            with archive.open(inside[0]) as source, target.open("wb") as copy:
                while block := source.read(1 << 24):
                    copy.write(block)
            return target
    except (zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"{path}: damaged archive ({error}); get the file again") from None


def _tensors(path: Path, file: Path, key: str) -> dict[str, Tensor]:
    modern = zipfile.is_zipfile(file)
    try:
        values = torch.load(file, map_location="cpu", weights_only=True, mmap=modern)
    except pickle.UnpicklingError as error:
        first = str(error).splitlines()[0]
        raise ValueError(
            f"{path}: not a checkpoint of tensors alone, or damaged ({first})"
        ) from None
    except (
        RuntimeError,
        EOFError,
        OSError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
    ) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{path}: not a checkpoint, or cut short ({first})") from None
    found = values.get(key) if isinstance(values, dict) else None
    if not isinstance(found, dict) or not found:
        held = ", ".join(map(str, values)) if isinstance(values, dict) else type(values).__name__
        raise ValueError(f"{path}: holds {held}; expected {key!r}")
    return {str(name): value for name, value in found.items() if isinstance(value, Tensor)}


def _renamed(
    read: Callable[[], dict[str, Tensor]],
    names: Mapping[str, str],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[tuple[str, Tensor]]:
    """Our names and tensors one by one, through a fresh mapping for every gigabyte."""
    tensors = read()
    passed = 0
    for number, (theirs, ours) in enumerate(names.items()):
        tensor = tensors[theirs].clone()
        passed += tensor.numel() * tensor.element_size()
        if passed > _SHARD_BYTES:
            passed = 0
            tensors = {}
            tensors = read()
        progress(number + 1, len(names))
        yield ours, tensor


def _check(
    path: Path, tensors: Mapping[str, Tensor], names: Mapping[str, str], model: nn.Module
) -> None:
    """Raises ValueError that lists what is missing, unknown or of another shape, by the checkpoint's own names."""
    expected = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    found = {ours: theirs for theirs, ours in names.items()}
    problems = [
        f"{theirs} is what {found[ours]} is"
        for theirs, ours in names.items()
        if found[ours] != theirs
    ]
    problems += [f"missing {key}" for key in sorted(set(expected) - set(found))]
    problems += [f"unknown {found[key]}" for key in sorted(set(found) - set(expected))]
    problems += [
        f"{found[key]} has shape {tuple(tensors[found[key]].shape)}, expected {expected[key]}"
        for key in sorted(set(found) & set(expected))
        if tuple(tensors[found[key]].shape) != expected[key]
    ]
    if problems:
        more = f" and {len(problems) - 8} more" if len(problems) > 8 else ""
        raise ValueError(f"{path}: {'; '.join(problems[:8])}{more}")


def _size(config: GeneratorConfig) -> tuple[int, int, int]:
    return config.num_layers, config.num_heads, config.width


def _card(
    release: ReleaseConfig, preset: str, parameters: int, tokenizer: Path, generator: Path
) -> str:
    return f"""# {release.name}

{release.attribution} Converted by `motionmill import-official` from `{tokenizer.name}` and `{generator.name}`; the
terms of their authors apply. Size: {preset}, {parameters:,} parameters. Text encoder:
`{release.text_encoder_path}`.

Greedy decoding, as the released scripts do it. Trained on motions of 2 to 10 seconds at 30 fps.
"""
