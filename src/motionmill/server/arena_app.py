"""The rating page and its requests, for raters who have a link: alone as an application, or within the studio's.

Every address below `/rate/LINK/` belongs to one rater. Nothing that is sent says which system a motion is of.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Path, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from motionmill.server.arena import Arena

POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:"
_KINDS = {".js": "text/javascript", ".css": "text/css"}
_MAX_BODY_BYTES = 4096

Link = Annotated[str, Path(min_length=8, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
TaskName = Annotated[str, Path(min_length=8, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
FindRater = Callable[[str], "tuple[Arena, str] | None"]  # by the secret end of an address

routes = APIRouter(prefix="/rate/{link}", include_in_schema=False)


class Answer(BaseModel):
    """One value for each criterion: -1, 0 or 1 for left, the same, right; 1 to 4 for a single motion."""

    model_config = ConfigDict(extra="forbid")

    answers: dict[str, int] = Field(max_length=8)


def _rater(link: Link, request: Request) -> tuple[Arena, str]:
    find: FindRater = request.app.state.find_rater
    found = find(link)
    if found is None:
        raise HTTPException(404, "no such rating link; ask for yours again")
    return found


Asking = Annotated[tuple[Arena, str], Depends(_rater)]


@routes.get("/")
def page(asking: Asking) -> HTMLResponse:
    """The page; everything else comes by its script."""
    return HTMLResponse(_text("rate.html"))


@routes.get("/task")
def task(asking: Asking) -> dict[str, Any]:
    """What the rater is asked now."""
    arena, rater = asking
    return arena.question(rater)


@routes.get("/task/{name}/{side}")
def motion(asking: Asking, name: TaskName, side: int) -> dict[str, Any]:
    """One of the motions of a task."""
    arena, rater = asking
    try:
        return arena.motion(rater, name, side)
    except KeyError:
        raise HTTPException(404, "no such motion") from None


@routes.post("/task/{name}")
def answer(asking: Asking, name: TaskName, given: Answer) -> dict[str, bool]:
    """Keep an answer; the first one stays."""
    arena, rater = asking
    try:
        return {"new": arena.answer(rater, name, given.answers)}
    except KeyError:
        raise HTTPException(404, "no such task") from None
    except ValueError as error:
        raise HTTPException(422, str(error)) from None


def arena_app(arena: Arena) -> FastAPI:
    """The application of one arena."""
    app = FastAPI(
        title="MotionMillion-Eval rating", docs_url=None, redoc_url=None, openapi_url=None
    )

    def find(link: str) -> tuple[Arena, str] | None:
        rater = arena.store.rater_of(link)
        return None if rater is None else (arena, rater)

    app.state.find_rater = find

    @app.middleware("http")
    async def guard(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        length = request.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > _MAX_BODY_BYTES:
            return PlainTextResponse("the request is too large", 413)
        response = await call_next(request)
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cache-Control"] = "no-store"
        return response

    @app.get("/healthz")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/static/{name}")
    def static(name: str) -> Response:
        text = _static(name)
        if text is None:
            raise HTTPException(404, "no such file")
        return Response(text, media_type=_KINDS[name[name.rfind(".") :]])

    app.include_router(routes)
    return app


def _static(name: str) -> str | None:
    """A file of the pages by its name; what is not among them is not there."""
    known = {entry.name for entry in (resources.files("motionmill.server") / "static").iterdir()}
    suffix = name[name.rfind(".") :]
    return _text(name) if name in known and suffix in _KINDS else None


def _text(name: str) -> str:
    return (resources.files("motionmill.server") / "static" / name).read_text(encoding="utf-8")
