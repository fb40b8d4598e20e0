"""`motionmill generate`: sentences -> motion files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from motionmill.commands.options import Outputs


def generate(
    prompt: tyro.conf.Positional[str] = "",
    /,
    *,
    output: Outputs,
    seconds: float | None = None,
    then: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = (),
    after: Path | None = None,
    prompts: Path | None = None,
    samples: int = 1,
    seed: int = 0,
    model: str = "mini",
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    guidance: float | None = None,
    cleanup: float = 1.0,
    device: str | None = None,
) -> None:
    """A sentence -> a character that moves, in files for other programs.

    Args:
        prompt: what is done, in English.
        output: a file to write, by its suffix: .glb .fbx .bvh .usd .npz .npy .xml (MuJoCo) .mp4 .gif .png; may be given
            several times.
        seconds: length; without it the motion ends by itself.
        then: what is done after that and for how long, such as "a person waves:2"; may be given several times.
        after: a motion file that the new motion goes on from.
        prompts: a file of prompts instead, one a line or .jsonl; {} in the output's name is the line's number, and
            files that are there already are kept.
        samples: so many motions of the prompt, with seeds from --seed on; {} in the output's name is the seed.
        seed: another seed, another motion.
        model: "mini", or a release folder.
        temperature: 0 takes the likeliest token; the model's own by default.
        top_k: draw among the k likeliest tokens.
        top_p: draw among the likeliest tokens that hold this much probability.
        guidance: how closely to follow the text; 1 is none.
        cleanup: strength of the foot-lock clean-up, 0 to 1.
        device: cpu, cuda, mps; a GPU when there is one.
    """
    from motionmill import batch
    from motionmill.pipeline import TextToMotion

    if not 0 <= cleanup <= 1:
        raise ValueError(f"--cleanup {cleanup}; expected 0 (raw) to 1")
    if prompts is not None and (prompt or then or after or samples != 1):
        raise ValueError("--prompts takes the place of a prompt, --then, --after and --samples")
    job = batch.Job(prompt, output, seconds, batch.read_parts(then), after, samples, seed)
    job.check() if prompts is None else batch.check_patterns(output)
    pipeline = TextToMotion.from_pretrained(model, device=device)
    given = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "guidance": guidance}
    sampling = pipeline.release.config.sampling.changed(given)
    settings = {"sampling": sampling, "cleanup": cleanup}
    if prompts is None:
        for line in job.run(pipeline, **settings):
            print(line)
    else:
        print(batch.run_file(pipeline, prompts, output, seconds=seconds, seed=seed, **settings))
