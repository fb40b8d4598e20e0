"""`motionmill import-official`: other people's checkpoints -> releases."""

from __future__ import annotations

from pathlib import Path

from motionmill.commands.options import Output


def import_official(
    *,
    tokenizer: Path,
    generator: Path,
    stats: Path,
    output: Output,
    heads: int | None = None,
    text_encoder: str = "google/flan-t5-xl",
) -> None:
    """The paper's released checkpoints -> a release folder that `--model` takes.

    Args:
        tokenizer: the tokenizer's .pth, or a .zip that holds it.
        generator: the generator's .pth, or a .zip that holds it.
        stats: folder of mean.npy and std.npy.
        output: the release folder.
        heads: attention heads, for a generator that is no preset.
        text_encoder: folder or Hub name of the T5 encoder that it was trained with.
    """
    from motionmill.generator import official
    from motionmill.training.progress import progress_bar

    with progress_bar("tensors") as progress:
        official.import_official(
            tokenizer,
            generator,
            stats,
            output,
            heads=heads,
            text_encoder=text_encoder,
            progress=progress,
        )
    print(f"{output}")
