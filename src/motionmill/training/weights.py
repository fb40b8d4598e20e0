"""A model <-> a folder of `config.json` and `model.safetensors`, loaded strictly."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from motionmill.config import Config, parse_config

C = TypeVar("C", bound=Config)
CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"
INDEX_NAME = "model.safetensors.index.json"
SUMS_NAME = "SHA256SUMS"


def save_weights(
    model: nn.Module, config: Config, folder: Path, *, dtype: torch.dtype = torch.float32
) -> None:
    """Write config and parameters; floating-point tensors are stored as `dtype`."""
    tensors = (
        (name, tensor.detach().to(dtype if tensor.is_floating_point() else tensor.dtype))
        for name, tensor in model.state_dict().items()
    )
    save_model(tensors, config, folder)


def save_model(
    tensors: Iterable[tuple[str, Tensor]],
    config: Config,
    folder: Path,
    *,
    shard_bytes: int = 2 << 30,
) -> None:
    """Write config and named tensors: one file, or shards of about `shard_bytes` with an index.

    Tensors are taken one by one and a shard is let go once it is written, so that a model larger than the memory can
    pass through.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shards: list[list[str]] = []
    part: dict[str, Tensor] = {}
    size = total = 0

    def flush() -> None:
        if part:
            save_tensors(part, folder / f".shard-{len(shards)}")
            shards.append(list(part))
            part.clear()

    for name, tensor in tensors:
        count = tensor.numel() * tensor.element_size()
        if size + count > shard_bytes:
            flush()
            size = 0
        part[name] = tensor.contiguous()
        size, total = size + count, total + count
        del tensor
    flush()
    files = [
        WEIGHTS_NAME
        if len(shards) == 1
        else f"model-{number + 1:05d}-of-{len(shards):05d}.safetensors"
        for number in range(len(shards))
    ]
    for number, file in enumerate(files):
        (folder / f".shard-{number}").replace(folder / file)
    for old in folder.glob("model*.safetensors"):
        if old.name not in files:
            old.unlink()
    (folder / INDEX_NAME).unlink(missing_ok=True)
    if len(files) > 1:
        places = {name: file for names, file in zip(shards, files, strict=True) for name in names}
        index = {"metadata": {"total_size": total}, "weight_map": places}
        write_text(folder / INDEX_NAME, json.dumps(index, indent=1) + "\n")
    write_text(folder / CONFIG_NAME, json.dumps(config.model_dump(mode="json"), indent=2) + "\n")


def load_config(kind: type[C], folder: Path) -> C:
    """The config of a model folder.

    Raises:
        FileNotFoundError: no config.json there.
        ValueError: it is not a config of this kind.
    """
    path = folder / CONFIG_NAME
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; {folder} is not a model folder")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}, line {error.lineno}: not JSON ({error.msg})") from None
    return parse_config(kind, values, source=str(path))


def load_into(
    model: nn.Module,
    folder: Path,
    *,
    device: torch.device | None = None,
    dtype: torch.dtype | None = torch.float32,
) -> None:
    """Give a model the parameters of its folder, as `dtype`; it may have been made on the meta device.

    Args:
        dtype: None leaves floating-point tensors as they are stored.

    Raises:
        ValueError: damaged file, or tensors that do not belong to this model.
    """
    expected = model.state_dict()
    missing = set(expected)
    for path in _weight_files(folder):
        tensors = load_tensors(path)
        for name, tensor in tensors.items():
            if tensor.ndim == 0 and name in missing and expected[name].numel() == 1:
                tensors[name] = tensor.reshape(expected[name].shape)
        wrong = sorted(
            name
            for name, tensor in tensors.items()
            if name not in missing or tensor.shape != expected[name].shape
        )
        if wrong:
            raise ValueError(
                f"{path}: does not fit {folder / CONFIG_NAME} at {', '.join(wrong[:4])}"
            )
        missing -= set(tensors)
        converted = {
            name: tensor.to(device, dtype) if tensor.is_floating_point() else tensor.to(device)
            for name, tensor in tensors.items()
        }
        model.load_state_dict(converted, strict=False, assign=True)
    if missing:
        names = ", ".join(sorted(missing)[:4])
        raise ValueError(f"{folder}: does not fit its {CONFIG_NAME}; missing are {names}")
    model.requires_grad_(requires_grad=True)
    if device is not None:
        model.to(device)


def _weight_files(folder: Path) -> list[Path]:
    """The one file of a model, or its shards."""
    index = folder / INDEX_NAME
    if not index.is_file():
        return [folder / WEIGHTS_NAME]
    try:
        places = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        names = sorted(set(places.values()))
    except (json.JSONDecodeError, KeyError, AttributeError, TypeError):
        raise ValueError(f"{index}: not an index of shards; get the file again") from None
    if any(Path(name).name != name for name in names):
        raise ValueError(f"{index}: names files outside its folder; get the file again")
    return [folder / name for name in names]


def save_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """Write tensors, aside first and then renamed."""
    from safetensors.torch import save_file

    partial = path.with_name(f".partial-{path.name}")
    save_file(tensors, partial)
    partial.replace(path)


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path}: damaged ({error}); get the file again") from None
    return tensors


def write_sums(folder: Path) -> None:
    """Write `SHA256SUMS` of every other file below the folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SUMS_NAME)
    lines = [f"{file_sum(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
    write_text(folder / SUMS_NAME, "".join(lines))


def check_sums(folder: Path) -> None:
    """Compare the files of a folder with its `SHA256SUMS`.

    Raises:
        FileNotFoundError: no sums, or a file that they name is missing.
        ValueError: a file has other contents.
    """
    sums = folder / SUMS_NAME
    if not sums.is_file():
        raise FileNotFoundError(f"{sums}: no such file; {folder} is not a released model")
    named = set()
    for line in sums.read_text(encoding="utf-8", errors="replace").splitlines():
        expected, _, name = line.partition("  ")
        path = folder / name
        named.add(path)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file; the released model is not complete")
        if file_sum(path) != expected:
            raise ValueError(
                f"{path}: damaged (its sha256 is not the one in {SUMS_NAME}); get the file again"
            )
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".json", ".safetensors") and path not in named:
            raise ValueError(f"{path}: not named in {SUMS_NAME}; get the released model again")


def file_sum(path: Path) -> str:
    """sha256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write a text file, aside first and then renamed."""
    partial = path.with_name(f".partial-{path.name}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
