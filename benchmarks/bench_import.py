"""How much memory and time `import-official` takes for a checkpoint of a real size -> JSON with host facts.

python benchmarks/bench_import.py 3B --folder SCRATCH -o benchmarks/results/import-3B.json

A generator checkpoint of the preset's exact names and shapes, bfloat16 random numbers, is written into SCRATCH, which
needs room for it twice; making it takes the memory of its largest tensor. The import runs in a process of its own,
whose memory is read from /proc every 50 ms: VmHWM (the peak of all resident pages) and RssAnon (what cannot be dropped;
the rest is pages of files that the system may take back). Everything is deleted at the end.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from host import host

from motionmill.generator.config import preset
from motionmill.generator.model import Generator
from motionmill.generator.official import (
    _GENERATOR_NAMES,
    OFFICIAL_TOKENIZER,
    generator_name,
    tokenizer_name,
)
from motionmill.tokenizer.model import Tokenizer

GIBIBYTE = 1 << 30


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("preset", nargs="?", default="3B")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    folder: Path = arguments.folder / f"bench-import-{arguments.preset}"
    folder.mkdir(parents=True)
    try:
        result = measure(arguments.preset, folder)
    finally:
        shutil.rmtree(folder)
    text = json.dumps(result, indent=1)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n")


def measure(name: str, folder: Path) -> dict[str, Any]:
    started = time.perf_counter()
    write_generator(name, folder)
    write_tokenizer(folder)
    np.save(folder / "mean.npy", np.zeros(272))
    np.save(folder / "std.npy", np.ones(272))
    made = time.perf_counter() - started
    words = [sys.executable, "-m", "motionmill", "import-official", "--stats", str(folder)]
    words += ["--tokenizer", str(folder / "fsq.pth"), "--generator", str(folder / "generator.pth")]
    words += ["-o", str(folder / "release")]
    started = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    peak = peak_memory(process)
    assert process.stderr is not None
    if process.wait() != 0:
        raise RuntimeError(process.stderr.read().decode())
    seconds = time.perf_counter() - started
    shards = sorted((folder / "release" / "generator").glob("*.safetensors"))
    return {
        "host": host(),
        "preset": name,
        "checkpoint_gib": gib((folder / "generator.pth").stat().st_size),
        "shards": len(shards),
        "same_tensors": compare(folder, shards),
        "seconds": round(seconds, 1),
        "seconds_to_make_the_checkpoint": round(made, 1),
        **{key: gib(value) for key, value in peak.items()},
    }


def write_generator(name: str, folder: Path) -> None:
    """Every tensor is a mapping of its own of one file of random numbers, so that none of them takes memory."""
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in Generator(preset(name)).state_dict().items()}
    largest = max(shape.numel() for shape in shapes.values())
    block = folder / "random"
    draw = torch.Generator().manual_seed(0)
    with block.open("wb") as file:
        for start in range(0, largest, 1 << 24):
            count = min(1 << 24, largest - start)
            numbers = torch.randn(count, generator=draw).mul_(0.02).bfloat16()
            file.write(numbers.view(torch.int16).numpy().tobytes())
    state = {}
    for key, shape in shapes.items():
        numbers = torch.from_file(
            str(block), shared=False, size=shape.numel(), dtype=torch.bfloat16
        )
        state[f"module.{official(key)}"] = numbers.reshape(shape)
    torch.save({"trans": state, "nb_iter": 0}, folder / "generator.pth")
    block.unlink()


def official(key: str) -> str:
    """Our name of a generator parameter -> the official one."""
    for theirs, ours in reversed(_GENERATOR_NAMES):
        key = key.replace(ours, theirs)
    return key


def write_tokenizer(folder: Path) -> None:
    """An official tokenizer checkpoint with random weights."""
    blocks = [
        f"model.{number}.{part}"
        for number in range(3)
        for part in ("norm1", "norm2", "conv1", "conv2")
    ]
    layers = [f"encoder.model.{place}" for place in ("1", "3.0", "4")]
    layers += [f"decoder.model.{place}" for place in ("0", "2.2", "3", "5")]
    layers += ["quantizer.project_in", "quantizer.project_out"]
    layers += [
        f"{part}.{block}" for part in ("encoder.model.3.1", "decoder.model.2.0") for block in blocks
    ]
    names = [f"vqvae.{layer}.{kind}" for layer in layers for kind in ("weight", "bias")]
    state = {"vqvae.encoder.model.0.wavelets": torch.full((2,), 0.5**0.5)}
    torch.manual_seed(0)
    ours = Tokenizer(OFFICIAL_TOKENIZER).state_dict()
    keys = dict.fromkeys([*names, *state])
    for name in names:
        key = tokenizer_name(name, keys, OFFICIAL_TOKENIZER)
        assert key is not None
        state[name] = ours[key]
    torch.save({"net": state}, folder / "fsq.pth")


def peak_memory(process: subprocess.Popen[bytes]) -> dict[str, int]:
    """Bytes, until the process ends."""
    status = Path(f"/proc/{process.pid}/status")
    peak = {"VmHWM": 0, "RssAnon": 0}
    while process.poll() is None:
        try:
            lines = status.read_text().splitlines()
        except OSError:
            break
        for line in lines:
            key, _, value = line.partition(":")
            if key in peak:
                peak[key] = max(peak[key], 1024 * int(value.split()[0]))
        time.sleep(0.05)
    return {"peak_resident_gib": peak["VmHWM"], "peak_anonymous_gib": peak["RssAnon"]}


def compare(folder: Path, shards: list[Path]) -> int:
    """How many tensors of the release, one a shard, are those of the checkpoint; all others are an error."""
    from safetensors import safe_open

    source = torch.load(folder / "generator.pth", mmap=True, weights_only=True)["trans"]
    theirs = {generator_name(key): value for key, value in source.items()}
    for path in shards:
        with safe_open(path, framework="pt") as file:
            name = sorted(file.keys())[0]
            if not torch.equal(file.get_tensor(name), theirs[name]):
                raise RuntimeError(f"{path}: {name} is not what it was")
    return len(shards)


def gib(size: int) -> float:
    return round(size / GIBIBYTE, 3)


if __name__ == "__main__":
    main()
