"""The server itself over HTTP: its model, its health, its numbers."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse

from motionmill import __version__
from motionmill.server.answers import problems
from motionmill.server.schemas import Health, ModelInfo, ModelList
from motionmill.server.service import Here

routes = APIRouter(tags=["server"])


@routes.get("/v1/models", summary="What runs here", responses=problems())
def models(here: Here) -> ModelList:
    """The model of this server, its licence, and what it takes where a request says nothing."""
    pipeline = here.runner.pipeline
    config = pipeline.release.config
    info = ModelInfo(
        name=config.name,
        licence=config.licence,
        attribution=config.attribution,
        fps=config.fps,
        context_seconds=pipeline.context_seconds,
        candidates=pipeline.tokens.num_candidates(None),
        sampling=config.sampling.model_dump(),
    )
    return ModelList(models=(info,))


@routes.get("/healthz", summary="Whether requests are taken")
def health(here: Here) -> Health:
    """For those who watch over servers; asks for no token."""
    store = here.runner.store
    return Health(
        status="stopping" if here.runner.stopping else "ok",
        version=__version__,
        queued=store.count("queued"),
        running=store.count("running"),
    )


@routes.get(
    "/metrics",
    summary="Counts for Prometheus",
    response_class=PlainTextResponse,
    responses={k: v for k, v in problems().items() if k == 401},
)
def metrics(here: Here) -> PlainTextResponse:
    """Jobs, tokens, answers, latencies and memory in Prometheus' text format."""
    store = here.runner.store
    gauges = {f"jobs_{name}": float(store.count(name)) for name in ("queued", "running")}
    text = here.runner.metrics.text(gauges)
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4")
