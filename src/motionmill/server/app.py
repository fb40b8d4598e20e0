"""Runner, workshop and pages -> one ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from importlib import resources
from importlib.resources.abc import Traversable

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException as StarletteError
from starlette.routing import Match

from motionmill.server import api_jobs, api_motions, api_ratings, api_server, arena_app
from motionmill.server.guard import Application, Guard
from motionmill.server.ratings import Ratings
from motionmill.server.runner import Runner
from motionmill.server.schemas import Problem
from motionmill.server.service import Service
from motionmill.server.workshop import Workshop

_KINDS = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".md": "text/plain",
    ".svg": "image/svg+xml",
}
_ABOUT = (
    "Text in, motion out. Ask for a motion with `POST /v1/motions`, watch it at `/v1/jobs/{id}/events`, take the "
    "file at `/v1/motions/{id}.glb`. Errors are `application/problem+json` (RFC 9457). The version of this "
    "interface is in its addresses: what is taken away or changes its meaning gets a new one."
)


def studio_app(
    runner: Runner,
    workshop: Workshop,
    ratings: Ratings,
    *,
    videos: Workshop | None = None,
    token: str | None = None,
    only_loopback: bool = True,
    on_start: Callable[[], None] = lambda: None,
) -> Application:
    """The application; the runner starts and ends with it.

    Args:
        videos: what extracts motion from videos, beside the files; a workshop of its own by default.
        token: what requests must carry; None asks for none.
        only_loopback: refuse requests that name another host, which stops pages that rebind their DNS name.
        on_start: called when requests are taken.
    """

    cinema = videos or Workshop(1, seconds=300.0, memory_bytes=3 << 30, max_waiting=4)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        runner.start()
        on_start()
        yield
        await run_in_threadpool(runner.stop)
        await run_in_threadpool(workshop.close)
        await run_in_threadpool(cinema.close)
        await run_in_threadpool(ratings.close)
        runner.store.close()

    app = FastAPI(
        title="MotionMill",
        version="1",
        summary="Text to human motion",
        description=_ABOUT,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
    )
    app.state.service = Service(runner, workshop, cinema, ratings)
    app.state.find_rater = ratings.find_rater
    for part in (api_motions, api_jobs, api_ratings, api_server, arena_app):
        app.include_router(part.routes)
    _pages(app, workshop)
    app.add_exception_handler(StarletteError, _http_problem)
    app.add_exception_handler(RequestValidationError, _bad_request)
    app.add_exception_handler(Exception, _failure)
    return Guard(app, token=token, only_loopback=only_loopback, metrics=runner.metrics)


def _pages(app: FastAPI, workshop: Workshop) -> None:
    """The studio's files, read once: no path of a request meets the file system."""
    root = resources.files("motionmill.server") / "static"
    files = dict(_files(root, ""))

    @app.get("/", include_in_schema=False)
    def page() -> HTMLResponse:
        return HTMLResponse(files["studio.html"])

    @app.get("/rate/", include_in_schema=False)
    def ratings() -> HTMLResponse:
        return HTMLResponse(files["ratings.html"])

    @app.get("/character.glb", include_in_schema=False)
    def character() -> Response:
        if "character" not in files:
            files["character"] = workshop.character()
        return Response(files["character"], media_type="model/gltf-binary")

    @app.get("/static/{name:path}", include_in_schema=False)
    def static(name: str) -> Response:
        suffix = name[name.rfind(".") :]
        if name not in files or suffix not in _KINDS:
            raise HTTPException(404, "no such file")
        return Response(files[name], media_type=_KINDS[suffix])


def _files(folder: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    found = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _files(entry, f"{prefix}{entry.name}/")
        else:
            found.append((prefix + entry.name, entry.read_bytes()))
    return found


def _problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    problem = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail)
    return JSONResponse(
        problem.model_dump(), status, headers=headers, media_type="application/problem+json"
    )


def _http_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteError)
    headers = dict(error.headers) if error.headers else None
    if error.status_code == 405:
        headers = {"Allow": ", ".join(_methods(request))}
    return _problem(error.status_code, str(error.detail), headers)


def _methods(request: Request) -> list[str]:
    """What may be done at an address, over all routes that have it."""
    found: set[str] = set()
    for route in request.app.routes:
        match, _ = route.matches(request.scope)
        if match != Match.NONE:
            found |= getattr(route, "methods", None) or set()
    return sorted(found)


def _bad_request(request: Request, error: Exception) -> Response:
    """What is wrong, and where; never what was sent, which may be no text at all."""
    assert isinstance(error, RequestValidationError)
    found = [
        f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}"
        for each in error.errors()[:5]
    ]
    text = "; ".join(found).encode("utf-8", "replace").decode()
    return _problem(422, text[:1000])


def _failure(request: Request, error: Exception) -> Response:
    return _problem(500, "something went wrong in the server; its log says what")
