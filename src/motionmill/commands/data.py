"""`motionmill data ...`: videos and motion capture -> data sets, and what is to be known of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from motionmill.commands.options import Output
from motionmill.config import Config

Dataset = tyro.conf.Positional[Path]


def run(
    config: Config,
    *,
    input: tuple[Path, ...] = (),
    output: Output,
    recipe: str = "data",
    executor: Literal["local", "ray"] = "local",
    address: str = "",
    workers: int | None = None,
    gpus: float = 0.0,
    run: str = "",
) -> None:
    """Videos and motion capture -> a captioned, leak-free, sharded data set; goes on where it stopped.

    Args:
        input: motion files, videos, or folders of them, of packed shards, or in the layouts of MotionMillion and
            HumanML3D; none to go on with a data set that is there.
        output: the data set's folder.
        recipe: name of a shipped recipe, or a YAML file.
        executor: processes of this machine, or a Ray cluster that shares the folder.
        address: of the Ray cluster, "auto" for the one of this machine; empty starts one here.
        workers: processes, with the local executor; by default one a core.
        gpus: taken by each worker that finds people in videos, on Ray.
        run: with --estimator "work list", the estimator's command; {list} and {folder} stand for the list and
            its folder.
    """
    from motionmill.data.engine.pool import ProcessPool, usable_cores

    if executor == "ray" and workers is not None:
        raise ValueError("--workers is for the local executor; Ray uses what the cluster has")
    if executor == "local" and address:
        raise ValueError("--address is for --executor ray")
    chosen: Any = None if executor == "ray" else ProcessPool(workers or usable_cores())

    from motionmill.data.config import DataConfig
    from motionmill.data.engine.build import build

    assert isinstance(config, DataConfig)
    if chosen is None:
        from motionmill.data.engine.ray_executor import RayExecutor

        chosen = RayExecutor(address)
    with _bars() as progress:
        summary = build(
            list(input), output, config, executor=chosen, gpus=gpus, command=run, progress=progress
        )
    print(f"{output / 'README.md'}: {summary.kept} clips, {summary.rejected} rejected")
    if not summary.kept and summary.rejected:
        print(f"nothing is kept; `motionmill data status {output}` tells why")
    if summary.pending:
        raise RuntimeError(
            f"{summary.pending} clips wait for captions, because the endpoint gave none; the same command asks again"
        )


def status(dataset: Dataset, /) -> None:
    """What is done of a data set, what was rejected and why, how fast it goes, what is left."""
    from motionmill.data.engine.status import lines
    from motionmill.data.engine.status import status as look
    from motionmill.data.folder import open_folder

    print("\n".join(lines(look(open_folder(dataset)))))


def why(
    dataset: Dataset,
    clip: tyro.conf.Positional[str],
    /,
    *,
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None,
) -> None:
    """Every measurement, threshold and decision of one clip, with its contact sheet.

    Args:
        dataset: a data set of `data run`.
        clip: its id, as in splits/*.txt and rejects/*.jsonl.
        output: where the contact sheet (.png) goes; into the data set's folder run/ by default.
    """
    from motionmill.data.engine.why import lines, sheet_name, story, write_sheet
    from motionmill.data.folder import open_folder

    folder = open_folder(dataset)
    found = story(folder, clip)
    print("\n".join(lines(found)))
    sheet = output or folder.root / "run" / "sheets" / sheet_name(clip)
    print(f"sheet       {sheet if write_sheet(found, sheet) else 'none: it has no motion'}")


def _refilter(dataset: Path, options: dict[str, Any]) -> None:
    from motionmill.data.engine.build import rebuild
    from motionmill.data.engine.thresholds import change
    from motionmill.data.folder import open_folder

    folder = open_folder(dataset)
    change(folder, {name: value for name, value in options.items() if value is not None})
    with _bars() as progress:
        summary = rebuild(folder, progress=progress)
    print(f"{folder.card}: {summary.kept} clips, {summary.rejected} rejected")
    if summary.pending:
        print(f"{summary.pending} clips wait for captions; `motionmill data run` asks for them")


def refilter() -> Callable[..., None]:
    """New thresholds on stored measurements: no video, recording or model is looked at again."""
    from motionmill.data.engine.thresholds import threshold_options

    def command(dataset: Any, /, **options: Any) -> None:
        _refilter(dataset, options)

    parameters = [
        inspect.Parameter("dataset", inspect.Parameter.POSITIONAL_ONLY, annotation=Dataset)
    ]
    for option, (part, name, field) in threshold_options().items():
        kind: Any = field.annotation
        help = f"{field.description or name} (of {part})"
        told = tyro.conf.arg(help=help, aliases=["--jerk-max"] if name == "max_jitter" else [])
        parameters.append(
            inspect.Parameter(
                option,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=Annotated[kind | None, told],
            )
        )
    command.__signature__ = inspect.Signature(parameters, return_annotation=None)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": None}
    command.__doc__ = refilter.__doc__
    return command


def card(dataset: Dataset, /) -> None:
    """A data set's README.md: counts that add up, histograms, licences, examples."""
    from motionmill.config import load_recipe
    from motionmill.data.config import DataConfig
    from motionmill.data.engine.card import write_card
    from motionmill.data.folder import open_folder

    folder = open_folder(dataset)
    counted = write_card(folder, load_recipe(DataConfig, folder.config))
    print(f"{folder.card}: {sum(counted.kept.values())} clips")


def export(
    dataset: Dataset,
    /,
    *,
    output: Output,
    layout: Literal["motionmillion", "humanml3d"] = "motionmillion",
) -> None:
    """A data set -> a folder in the layout of MotionMillion or HumanML3D, for the loaders of others.

    Args:
        dataset: a data set of `data run`.
        output: a new folder.
        layout: which.
    """
    from motionmill.data.export import export as write

    count = write(dataset, output, layout)
    print(f"{output}: {count} clips")


def audit(
    folder: Dataset, /, *, output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
) -> None:
    """Leaks between splits, duplicates and broken files of any data set; can write a corrected split.

    Args:
        folder: a data set of ours, in the layout of MotionMillion or HumanML3D, packed shards or motion files.
        output: a new folder for corrected split lists and the findings.
    """
    from motionmill.data.audit import audit as look
    from motionmill.data.audit import write_corrected_split
    from motionmill.training.progress import progress_bar

    with progress_bar("clips") as progress:
        report = look(folder, progress=progress)
    print(report.summary())
    if output is not None:
        write_corrected_split(report, output)
        print(f"{output}: corrected split")


def _bars() -> Any:
    """A progress bar for the step at work."""
    from motionmill.training.progress import step_bars

    return step_bars()
