"""The HTTP interface, version 1: motions are asked for, watched, taken and converted."""

from __future__ import annotations

import random
import re
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException, Path, Query
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import PlainTextResponse, Response, StreamingResponse

from motionmill import __version__
from motionmill.server.live import Live, event
from motionmill.server.runner import Runner
from motionmill.server.schemas import (
    MAX_SEED,
    Health,
    Job,
    JobList,
    MediaType,
    ModelInfo,
    ModelList,
    MotionRequest,
    Names,
    Problem,
    Source,
    Suffix,
)
from motionmill.server.store import QueueFullError, StoredJob
from motionmill.server.workshop import BusyError, Workshop

ENDED = ("done", "failed", "cancelled")
JobId = Annotated[
    str, Path(pattern="^[0-9a-f]{24}$", examples=["5f0c5d2b7d3e4a7f9c0b1a2d"], description="a job")
]
MotionId = Annotated[
    str,
    Path(
        pattern="^[0-9a-f]{24}-[0-9]$",
        examples=["5f0c5d2b7d3e4a7f9c0b1a2d-0"],
        description="a motion",
    ),
]
Cleanup = Annotated[
    float | None,
    Query(ge=0, le=1, description="strength of the foot-lock clean-up, 0 raw; as in the request"),
]
NamesOption = Annotated[Names, Query(description="what the joints are called in the file")]


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route may answer beside success, for OpenAPI."""
    words = {
        401: "No token, or a wrong one (servers that have one)",
        404: "There is no such thing, or no more",
        409: "It has ended already",
        413: "Too many bytes",
        415: "Another content type",
        422: "The request makes no sense; `detail` says why",
        429: "The queue is full; `Retry-After` says when to come again",
        501: "A package for this format is not installed on the server",
        503: "Busy or stopping; `Retry-After` says when to come again",
        400: "Not a request",
    }
    content = {"application/problem+json": {"schema": Problem.model_json_schema()}}
    return {
        status: {"description": words[status], "content": content}
        for status in sorted({*statuses, 400, 401, 422})
    }


def files_schema() -> dict[int | str, dict[str, Any]]:
    """The content types of motion files, for OpenAPI."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    kinds = sorted({kind.partition(";")[0] for kind in MediaType.values()})
    return {200: {"description": "The file", "content": dict.fromkeys(kinds, binary)}}


def as_job(runner: Runner, job: StoredJob) -> Job:
    """What clients are told of a stored job."""
    position = runner.store.position(job) if job.state == "queued" else None
    return Job.model_validate(
        {
            "id": job.id,
            "state": job.state,
            "position": position,
            "created": job.created,
            "finished": job.finished,
            "request": job.request,
            "reason": job.reason,
            "motions": job.motions,
        }
    )


def router(runner: Runner, workshop: Workshop, *, attribution: str) -> APIRouter:
    """The routes of one server."""
    routes = APIRouter()
    store, pipeline = runner.store, runner.pipeline
    licence = pipeline.release.config.licence

    def found(name: str) -> StoredJob:
        job = store.get(name)
        if job is None:
            raise HTTPException(404, "no such job, or it has been forgotten")
        return job

    @routes.post(
        "/v1/motions",
        status_code=202,
        response_model=Job,
        responses={
            202: {
                "description": "Accepted",
                "headers": {
                    "Location": {"schema": {"type": "string"}, "description": "of the job"}
                },
            },
            **problems(413, 429, 503),
        },
        tags=["motions"],
        summary="Ask for a motion",
    )
    def create(wanted: MotionRequest, response: Response) -> Job:
        if runner.stopping:
            raise HTTPException(503, "the server is stopping", {"Retry-After": "10"})
        try:
            for part in wanted.parts:
                pipeline.check(part.prompt, part.seconds)
            pipeline.tokens.num_candidates(wanted.candidates)
            pipeline.release.config.sampling.changed(wanted.sampling.model_dump())
        except ValueError as error:
            raise HTTPException(422, str(error)) from None
        if wanted.seed is None:
            wanted = wanted.model_copy(update={"seed": random.SystemRandom().randrange(1_000_000)})
        if (wanted.seed or 0) + wanted.samples + len(wanted.parts) > MAX_SEED:
            raise HTTPException(422, f"the last seed is above {MAX_SEED}; expected a smaller one")
        try:
            job = store.add(wanted.model_dump(mode="json", exclude_none=True))
        except QueueFullError:
            wait = {"Retry-After": str(runner.retry_after())}
            raise HTTPException(429, "the queue is full; come again", wait) from None
        runner.submitted()
        response.headers["Location"] = f"/v1/jobs/{job.id}"
        return as_job(runner, job)

    @routes.get("/v1/jobs", tags=["jobs"], summary="The newest jobs", responses=problems())
    def jobs(limit: Annotated[int, Query(ge=1, le=100)] = 20) -> JobList:
        return JobList(jobs=tuple(as_job(runner, job) for job in store.newest(limit)))

    @routes.get("/v1/jobs/{job_id}", tags=["jobs"], summary="A job", responses=problems(404))
    def job(job_id: JobId) -> Job:
        return as_job(runner, found(job_id))

    @routes.delete(
        "/v1/jobs/{job_id}",
        tags=["jobs"],
        summary="Cancel a job",
        responses=problems(404, 409),
    )
    def cancel(job_id: JobId) -> Job:
        known = found(job_id)
        if not runner.cancel(job_id):
            raise HTTPException(409, f"the job has ended: {known.state}")
        return as_job(runner, found(job_id))

    @routes.get(
        "/v1/jobs/{job_id}/events",
        tags=["jobs"],
        summary="What happens to a job, as server-sent events",
        description="Events: queued {position}, encoding, tokens {sample, part, tokens}, frames {sample, start, "
        "frames, fps, rotations, root} (raw; rotations are (T, 22, 4) quaternions xyzw in units of 1/32767, int16, "
        "root is (T, 3) float32, little endian, base64), done {job}, failed {reason}, cancelled. Frames that begin at "
        "an earlier start replace what was there. Reading again gives all events of a running job again.",
        response_class=StreamingResponse,
        responses={
            200: {"description": "Events", "content": {"text/event-stream": {}}},
            **problems(404),
        },
    )
    async def events(job_id: JobId) -> StreamingResponse:
        await run_in_threadpool(found, job_id)
        headers = {"X-Accel-Buffering": "no"}
        return StreamingResponse(
            watch(runner, job_id), media_type="text/event-stream", headers=headers
        )

    @routes.get(
        "/v1/motions/{motion_id}.{suffix}",
        tags=["motions"],
        summary="A motion as a file",
        response_class=Response,
        responses={**files_schema(), **problems(404, 501, 503)},
    )
    def motion(
        motion_id: MotionId, suffix: Suffix, names: NamesOption = "smpl", cleanup: Cleanup = None
    ) -> Response:
        known = found(motion_id.partition("-")[0])
        if known.state != "done" or motion_id not in {each["id"] for each in known.motions}:
            raise HTTPException(404, "no such motion, or it is not finished")
        path = store.motions / f"{motion_id}.npz"  # the id is one of the database's
        strength = known.request.get("cleanup", 1.0) if cleanup is None else cleanup
        options = {"cleanup": strength, "names": names, "licence": licence}
        kept = path.with_suffix(f".{suffix}") if suffix not in ("npz",) else None
        default = cleanup is None and names == "smpl" and kept is not None
        if default and kept is not None and kept.is_file():
            data = kept.read_bytes()
        else:
            data = _made(lambda: workshop.export(path, suffix, **options))
        return _file(data, suffix, f"{_words(known.request)}-{motion_id[-1]}")

    @routes.post(
        "/v1/motions/convert",
        tags=["motions"],
        summary="A motion file in, another format out",
        response_class=Response,
        responses={**files_schema(), **problems(413, 415, 501, 503)},
    )
    async def convert(
        source: Annotated[Source, Query(alias="from", description="format of the file")],
        data: Annotated[bytes, Body(media_type="application/octet-stream", min_length=1)],
        to: Suffix = Suffix.glb,
        names: NamesOption = "smpl",
        cleanup: Annotated[float, Query(ge=0, le=1)] = 0.0,
    ) -> Response:
        made = await run_in_threadpool(
            _made, lambda: workshop.convert(data, source, to, names=names, cleanup=cleanup)
        )
        return _file(made, to, "motion")

    @routes.get("/v1/models", tags=["server"], summary="What runs here", responses=problems())
    def models() -> ModelList:
        config = pipeline.release.config
        return ModelList(
            models=(
                ModelInfo(
                    name=config.name,
                    licence=config.licence,
                    attribution=attribution,
                    fps=config.fps,
                    context_seconds=pipeline.context_seconds,
                    candidates=pipeline.tokens.num_candidates(None),
                    sampling=config.sampling.model_dump(),
                ),
            )
        )

    @routes.get("/healthz", tags=["server"], summary="Whether requests are taken")
    def health() -> Health:
        return Health(
            status="stopping" if runner.stopping else "ok",
            version=__version__,
            queued=store.count("queued"),
            running=store.count("running"),
        )

    @routes.get(
        "/metrics",
        tags=["server"],
        summary="Counts for Prometheus",
        response_class=PlainTextResponse,
        responses={k: v for k, v in problems().items() if k == 401},
    )
    def metrics() -> PlainTextResponse:
        gauges = {name: float(store.count(name)) for name in ("queued", "running")}
        text = runner.metrics.text({f"jobs_{name}": value for name, value in gauges.items()})
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    return routes


async def watch(runner: Runner, name: str) -> AsyncIterator[str]:
    """The events of a job as text; ends with the job, or with the server."""
    live = runner.live(name)
    job = await run_in_threadpool(runner.store.get, name)
    if job is not None and job.state not in ENDED:
        async for text in _with_positions(runner, live, job):
            yield text
        job = await run_in_threadpool(runner.store.get, name)
    if job is not None and job.state in ENDED:
        runner.forget(name)
        yield _ending(runner, job)


async def _with_positions(runner: Runner, live: Live, job: StoredJob) -> AsyncIterator[str]:
    """The live events, and the place in the queue as long as it changes; the ending is told by the caller."""
    told, waits = 0, job.state == "queued"
    async for text in live.read():
        if text is not None:
            waits = waits and not text.startswith("event")
            yield text
        if waits and text is None:
            position = await run_in_threadpool(runner.store.position, job)
            if position not in (0, told):  # 0: it has just begun
                told = position
                yield event("queued", position=position)


def _ending(runner: Runner, job: StoredJob) -> str:
    match job.state:
        case "done":
            return event("done", job=as_job(runner, job).model_dump(mode="json"))
        case "failed":
            return event("failed", reason=job.reason)
        case _:
            return event("cancelled")


def _made(make: Any) -> bytes:
    """Bytes of the workshop, or the HTTP error that says why not."""
    try:
        data: bytes = make()
    except ValueError as error:
        raise HTTPException(422, str(error)) from None
    except ImportError as error:
        raise HTTPException(501, str(error)) from None
    except BusyError:
        raise HTTPException(503, "busy; come again", {"Retry-After": "5"}) from None
    return data


def _file(data: bytes, suffix: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}.{suffix}"'}
    return Response(data, media_type=MediaType[suffix], headers=headers)


def _words(request: dict[str, Any]) -> str:
    """A file name of what was asked: letters, digits and hyphens only."""
    text = request.get("prompt") or request["timeline"][0]["prompt"]
    return re.sub("[^a-z0-9]+", "-", text.lower()).strip("-")[:40] or "motion"
