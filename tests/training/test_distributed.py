"""Several processes on one machine (gloo): the same numbers as one, checkpoints for any number, a lost process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from motionmill.cli import main
from motionmill.training.checkpoint import list_checkpoints
from motionmill.training.config import ParallelConfig
from motionmill.training.loop import train
from tests.data.test_loader import make_dataset
from tests.ports import free_port
from tests.processes import children
from tests.training import job

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.dist


def environment() -> dict[str, str]:
    path = f"{ROOT}{os.pathsep}{ROOT / 'src'}"
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def run_two(folder: Path, steps: int, shard: int = 0) -> None:
    """The job in two processes, which find each other as those of torchrun do."""
    places = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    command = [sys.executable, "-m", "tests.training.job", str(folder), str(steps), "0", str(shard)]
    children = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env={**environment(), **places, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    errors = [child.communicate(timeout=400)[1] for child in children]
    assert [child.returncode for child in children] == [0, 0], errors


def losses(folder: Path) -> list[float]:
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["train/loss"] for line in lines]


def test_two_processes_are_as_good_as_one(tmp_path: Path) -> None:
    """50 steps: 20 in two processes, 15 in one, 15 in two; against one process that does them all."""
    whole, changing = tmp_path / "whole", tmp_path / "changing"
    job.main(whole, 50, 0.0)
    run_two(changing, 20)
    assert [step for step, _ in list_checkpoints(changing)] == [20]
    names = {path.name for path in list_checkpoints(changing)[0][1].iterdir()}
    assert {"__0_0.distcp", "__1_0.distcp"} <= names  # each process has written its part
    job.main(changing, 35, 0.0)
    run_two(changing, 50)
    assert len(losses(changing)) == 50
    assert losses(changing) == pytest.approx(losses(whole), abs=1e-4)
    assert losses(whole)[-1] < 0.8 * losses(whole)[0]
    one, two = (load_file(x / "generator/model.safetensors") for x in (whole, changing))
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        assert (tensor - two[name]).abs().max() < 1e-4, name


@pytest.mark.slow
def test_groups_of_processes_have_copies(tmp_path: Path) -> None:
    """Two groups of one process: each has all parameters, and gradients are averaged over the groups."""
    run_two(tmp_path / "copied", 12, shard=1)
    job.main(tmp_path / "whole", 12)
    assert losses(tmp_path / "copied") == pytest.approx(losses(tmp_path / "whole"), abs=1e-4)


def test_micro_batches_add_up_to_one_large_batch(tmp_path: Path) -> None:
    """Rows of different length: the gradient of two micro-batches is that of all their tokens together."""
    from motionmill.training.processes import Processes
    from motionmill.training.step import gradients

    model = job.MODEL.model_copy(update={"dropout": 0.0})
    task = job.make_task(model=model)
    processes = Processes(0, 1, torch.device("cpu"))
    small = [next(task.batches(index)) for index in (0, 1)]
    assert small[0].targets.shape != small[1].targets.shape
    config = job.CONFIG.model_copy(update={"clip_norm": None})
    facts = [task.facts(batch) for batch in small]
    made = gradients(task, task.model, config, processes, small, facts, first_index=0)
    added = [parameter.grad.clone() for parameter in task.model.parameters()]
    task.model.zero_grad()
    parts = [task.loss(batch) for batch in small]
    tokens = [fact.counts["tokens"] for fact in facts]
    whole = sum(
        part.parts["tokens"] * count / sum(tokens) + part.parts["rows"] / 2
        for part, count in zip(parts, tokens, strict=True)
    )
    whole.backward()
    assert made.loss == pytest.approx(whole.item(), abs=1e-6)
    for parameter, gradient in zip(task.model.parameters(), added, strict=True):
        assert (parameter.grad - gradient).abs().max() < 1e-6


def test_micro_batches_that_cannot_be_spread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from motionmill.training import loop
    from motionmill.training.processes import Processes

    class Two:
        def __enter__(self) -> Processes:
            return Processes(0, 2, torch.device("cpu"))

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(loop, "processes", lambda device: Two())
    config = job.CONFIG.model_copy(update={"micro_batches": 3})
    with pytest.raises(ValueError, match="multiple of 2"):
        train(job.make_task(), config, tmp_path)


def test_a_model_of_the_meta_device_is_the_same_model() -> None:
    from motionmill.generator.model import Generator
    from motionmill.training.parallel import parallelize
    from motionmill.training.processes import Processes

    torch.manual_seed(3)
    there = Generator(job.MODEL)
    with torch.device("meta"):
        made = Generator(job.MODEL)
    torch.manual_seed(3)
    alone = Processes(0, 1, torch.device("cpu"))
    parallelize(made, ParallelConfig(), alone, compute=torch.float32)
    for name, tensor in there.state_dict().items():
        assert torch.equal(tensor, made.state_dict()[name]), name


@pytest.mark.slow
def test_a_lost_process_ends_the_job_with_a_word(tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["-m", "tests.training.job", str(run), "50", "0.2"]
    with (tmp_path / "log").open("w") as log:
        job_process = subprocess.Popen(command, cwd=ROOT, env=environment(), stderr=log)
        deadline = time.monotonic() + 180
        while not list_checkpoints(run) and time.monotonic() < deadline:
            time.sleep(0.1)
        found = children(job_process.pid)
        assert found, (tmp_path / "log").read_text(encoding="utf-8")
        killed_at = time.monotonic()
        os.kill(found[-1], signal.SIGKILL)
        assert job_process.wait(60) != 0
    assert time.monotonic() - killed_at < 60
    words = (tmp_path / "log").read_text(encoding="utf-8")
    assert "another process of the job is gone" in words
    assert "goes on from the newest checkpoint" in words
    assert list_checkpoints(run)[-1][0] < 50
    job.main(run, 50, 0.0)
    job.main(tmp_path / "whole", 50, 0.0)
    assert losses(run) == pytest.approx(losses(tmp_path / "whole"), abs=1e-4)


def torchrun(*words: str) -> str:
    """A command of ours in two processes; what it prints."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, "-m", "motionmill", *words],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_commands_in_two_processes(tmp_path: Path) -> None:
    """torchrun trains tokenizer, generator, ranker and evaluator; one word each, and files that are read alone."""
    data = str(make_dataset(tmp_path / "data"))
    short = ["--training.steps", "4", "--training.micro-batches", "2", "--training.threads", "1"]
    short += ["--training.evaluate-every", "4"]
    tokenizer, generator, ranker, evaluator = (str(tmp_path / name) for name in "tgre")
    said = torchrun(
        *("train", "tokenizer", "--recipe", "smoke-tokenizer", "--data", data, "-o", tokenizer),
        *(*short, "--training.precision", "fp32"),
    )
    assert said.splitlines() == [f"{tokenizer}/report.json"]
    said = torchrun(
        *("train", "generator", "--recipe", "smoke-generator", "--data", data, "-o", generator),
        *("--tokenizer", tokenizer, *short, "--training.precision", "fp32"),
        *("--training.samples-every", "4", "--packing.states", "256"),
    )
    assert said.splitlines() == [f"{generator}/generator"]
    assert (Path(generator) / "samples/step-00000004.png").is_file()
    words = ("--data", data, "--tokenizer", tokenizer, *short, "--training.precision", "fp32")
    words = ("train", "ranker", *words, "--data.batch-size", "4", "--training.log-every", "1")
    assert torchrun(*words, "-o", ranker).splitlines() == [f"{ranker}/ranker"]
    assert main([*words, "-o", f"{ranker}1"]) == 0
    assert losses(Path(ranker)) == pytest.approx(losses(Path(f"{ranker}1")), abs=1e-4)
    said = torchrun(
        *("train", "evaluator", "--recipe", "smoke-evaluator", "--data", data, "-o", evaluator),
        *(*short, "--data.batch-size", "4", "--tensorboard"),
    )
    assert said.splitlines() == [f"{evaluator}/report.json"]
    assert list((Path(evaluator) / "tensorboard").iterdir())
    parts = {
        tokenizer: "tokenizer",
        generator: "generator",
        ranker: "ranker",
        evaluator: "evaluator",
    }
    for run, part in parts.items():
        tensors = load_file(Path(run) / part / "model.safetensors")
        assert all(tensor.isfinite().all() for tensor in tensors.values())
