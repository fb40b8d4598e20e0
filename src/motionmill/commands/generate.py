"""`motionmill generate`: sentences -> motion files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import tyro

from motionmill.commands.options import Outputs
from motionmill.generator.config import Precision


def generate(
    prompt: tyro.conf.Positional[str] = "",
    /,
    *,
    output: Outputs,
    seconds: float | None = None,
    min_seconds: float | None = None,
    max_seconds: float | None = None,
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
    candidates: int | None = None,
    cleanup: float = 1.0,
    device: str | None = None,
    text_device: str | None = None,
    text_cache: Path | None = None,
    precision: Precision = "float32",
    rewrite: bool = False,
    rewrite_url: str = "",
    rewrite_model: str = "",
) -> None:
    """A sentence -> a character that moves, in files for other programs.

    Args:
        prompt: what is done, in English.
        output: a file to write, by its suffix: .glb .fbx .bvh .usd .npz .npy .xml (MuJoCo) .mp4 .gif .png; may be given
            several times.
        seconds: length; without it the motion ends by itself.
        min_seconds: a motion that ends by itself lasts at least so long.
        max_seconds: and at most so long.
        then: what is done after that and for how long, such as "a person waves:2"; may be given several times.
        after: a motion file that the new motion goes on from.
        prompts: a file of prompts instead, one a line or .jsonl; {} in the output's name is the line's number, and
            files that are there already are kept.
        samples: so many motions of the prompt, with seeds from --seed on; {} in the output's name is the seed.
        seed: another seed, another motion.
        model: "mini", "open" (for any use), or a release folder.
        temperature: 0 takes the likeliest token; the model's own by default.
        top_k: draw among the k likeliest tokens.
        top_p: draw among the likeliest tokens that hold this much probability.
        guidance: how closely to follow the text; 1 is none.
        candidates: so many motions are drawn and the one that fits the text best is kept; the model's own by default.
        cleanup: strength of the foot-lock clean-up, 0 to 1.
        device: cpu, cuda, mps; a GPU when there is one.
        text_device: where a T5 text encoder runs, such as cpu beside a GPU; as --device by default.
        text_cache: a folder that keeps what the text encoder made of each prompt; a known prompt needs no encoder.
        precision: int8 is fastest for one prompt with a large model, bfloat16 for many; neither gives the very motion
            that float32 gives.
        rewrite: have a language model put the prompt into the model's style and estimate the length; any
            OpenAI-compatible chat endpoint (its key, if it needs one, from MOTIONMILL_CHAT_KEY).
        rewrite_url: base address of the endpoint, such as http://localhost:8000/v1; MOTIONMILL_CHAT_URL by default.
        rewrite_model: name of the language model there; MOTIONMILL_CHAT_MODEL by default.
    """
    from motionmill import batch
    from motionmill.generator.rewrite import chat_rewriting
    from motionmill.pipeline import TextToMotion

    if not 0 <= cleanup <= 1:
        raise ValueError(f"--cleanup {cleanup}; expected 0 (raw) to 1")
    if prompts is not None and (prompt or then or after or samples != 1):
        raise ValueError("--prompts takes the place of a prompt, --then, --after and --samples")
    if (rewrite_url or rewrite_model) and not rewrite:
        raise ValueError("--rewrite-url and --rewrite-model are of use with --rewrite only")
    job = batch.Job(prompt, output, seconds, batch.read_parts(then), after, samples, seed)
    job.check() if prompts is None else batch.check_patterns(output)
    rewriting = chat_rewriting(url=rewrite_url, model=rewrite_model) if rewrite else None
    pipeline = TextToMotion.from_pretrained(
        model,
        device=device,
        text_device=text_device,
        text_cache=text_cache,
        precision=precision,
    )
    given = {
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "guidance": guidance,
        "min_seconds": min_seconds,
        "max_seconds": max_seconds,
    }
    sampling = pipeline.release.config.sampling.changed(given)
    settings: dict[str, Any] = {"sampling": sampling, "candidates": candidates, "cleanup": cleanup}
    if prompts is None:
        if rewriting is not None:
            job = job.rewritten(rewriting)
            print(f"as understood: {job.words}")
        for line in job.run(pipeline, **settings):
            print(line)
    else:
        report = batch.run_file(
            pipeline, prompts, output, seconds=seconds, seed=seed, rewriting=rewriting, **settings
        )
        print(report)
