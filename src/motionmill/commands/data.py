"""`motionmill data ...`: motion capture -> data sets."""

from __future__ import annotations

from pathlib import Path

from motionmill.commands.options import Output
from motionmill.config import Config


def run(
    config: Config,
    *,
    input: tuple[Path, ...],
    output: Output,
    recipe: str = "data",
) -> None:
    """Motion capture -> a captioned, leak-free, sharded data set; goes on where it stopped.

    Args:
        input: folders of packed shards or BVH files.
        output: the data set's folder.
        recipe: name of a shipped recipe, or a YAML file.
    """
    from motionmill.data.build import build
    from motionmill.data.config import DataConfig
    from motionmill.training.progress import progress_bar

    assert isinstance(config, DataConfig)
    with progress_bar("shards") as progress:
        build(list(input), output, config, progress=progress)
    print(f"{output / 'README.md'}")
