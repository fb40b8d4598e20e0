"""`motionmill train evaluator` and `motionmill evaluate`: how good motions are, in numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro

from motionmill.commands.options import Output, SamplingOptions, say_once
from motionmill.config import Config


def train_evaluator(
    config: Config,
    *,
    data: Path,
    output: Output,
    recipe: str = "evaluator",
    device: str | None = None,
    tensorboard: bool = False,
) -> None:
    """A data set -> an evaluator, in whose space metrics are measured; goes on where it stopped.

    Args:
        data: a data set of `motionmill data run`.
        output: the run's folder.
        recipe: name of a shipped recipe, or a YAML file.
        device: cpu, cuda, mps.
        tensorboard: write the numbers for TensorBoard too.
    """
    from motionmill.evaluation import train
    from motionmill.evaluation.config import EvaluatorRunConfig
    from motionmill.training.device import choose_device

    assert isinstance(config, EvaluatorRunConfig)
    where = choose_device(device)
    run = train.train_evaluator(config, data, output, device=where, tensorboard=tensorboard)
    say_once(run / "report.json")


def evaluate(
    model: tyro.conf.Positional[str],
    /,
    data: Path,
    output: Output,
    protocol: Literal["v2", "legacy"] = "v2",
    seeds: int | None = None,
    split: Literal["test", "test_pairs", "val", "val_pairs"] = "test",
    max_clips: int | None = None,
    min_frames: int | None = None,
    free_length: bool = True,
    evaluator: Path | None = None,
    device: str | None = None,
    candidates: int | None = None,
    sampling: Annotated[SamplingOptions, tyro.conf.arg(name="")] = SamplingOptions(),  # noqa: B008
) -> None:
    """Automatic metrics of a model, or of a folder that any system has filled, beside real motion and floors.

    Args:
        model: a model's name, a release folder, or a folder of motion files: SEED/ID.bvh (.npz, .npy, ...), ID being
            the data set's.
        data: a data set of `motionmill data run`.
        output: gets results.json and table.md; an interrupted run goes on.
        protocol: v2, or legacy as the paper's code does it.
        seeds: how many; 20 for v2, 1 for legacy.
        split: whose clips are asked for.
        max_clips: at most so many of them.
        min_frames: the shortest clip that counts; 60 by default.
        free_length: also measure motions that end by themselves.
        evaluator: folder of `train evaluator`; the shipped one by default.
        device: cpu, cuda, mps.
        candidates: so many motions are drawn and the one that fits the text best is kept; the model's own by default.
        sampling: other than the model's own.
    """
    from motionmill.evaluation.config import protocol_config
    from motionmill.evaluation.evaluate import evaluate as measure
    from motionmill.evaluation.instruments import load_instruments
    from motionmill.evaluation.protocol import samples_of
    from motionmill.evaluation.systems import open_system
    from motionmill.training.progress import progress_bar

    config = protocol_config(
        protocol,
        seeds=seeds,
        split=split,
        max_clips=max_clips,
        min_frames=min_frames,
        free_length=free_length if protocol == "v2" else False,
    )
    instruments = load_instruments(evaluator)
    samples = samples_of(data, config)
    system = open_system(
        model,
        config,
        drawn=output / "drawn",
        device=device,
        changes=sampling.model_dump(),
        candidates=candidates,
    )
    with progress_bar("motions") as progress:
        results = measure(
            system,
            samples,
            instruments,
            config,
            output,
            facts={"data": data.resolve().name},
            progress=progress,
        )
    print((output / "table.md").read_text(encoding="utf-8"), end="")
    if results.facts["failures"]:
        print(f"coverage {results.facts['coverage']:.1%}; see failures in {output}/results.json")


def report(
    results: tyro.conf.Positional[tuple[Path, ...]],
    /,
    output: Output,
    legacy: tuple[Path, ...] = (),
    suite: str = "zero-shot",
    judged: tuple[Path, ...] = (),
    votes: Path | None = None,
) -> None:
    """Results and motions -> one HTML page that opens anywhere: tables, intervals, plots, contact sheets, players.

    Args:
        results: folders of `motionmill evaluate`, and of motions: of `benchmark generate`, or of any system
        output: the page, such as report.html.
        legacy: folders of `motionmill evaluate --protocol legacy`, for tables of their own beside published numbers.
        suite: the suite that the motions are of.
        judged: scores of `benchmark judge`.
        votes: the database of `benchmark rate`.
    """
    from motionmill.evaluation.model_judge import load_scores
    from motionmill.evaluation.report import write_report
    from motionmill.evaluation.results import RESULTS_NAME, Results
    from motionmill.evaluation.side_by_side import described, side_by_side
    from motionmill.evaluation.suite import load_suite
    from motionmill.server.arena_store import read_ratings

    if output.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{output}: expected a name that ends with .html")
    if not results and not legacy and not judged and votes is None:
        raise ValueError("nothing to report; give folders of `motionmill evaluate` or of motions")
    tables = [path for path in results if (path / RESULTS_NAME).is_file() or path.is_file()]
    motions = [path for path in results if path not in tables]
    prompts = load_suite(suite)
    scores = [score for path in judged for score in load_scores(path)]
    ratings = read_ratings(votes, prompts, scores) if scores or votes is not None else None
    write_report(
        output,
        [Results.load(path) for path in tables],
        legacy=[Results.load(path) for path in legacy],
        shown=side_by_side(prompts, motions),
        about=described(prompts, motions),
        ratings=ratings,
    )
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB")
