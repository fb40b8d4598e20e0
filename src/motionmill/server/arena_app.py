"""The rating page and its requests, for raters who have a link.

Every address below `/rate/LINK/` belongs to one rater. Nothing that is sent says which system a motion is of.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Path, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from motionmill.server.arena import Arena

POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:"
_KINDS = {".js": "text/javascript", ".css": "text/css"}
_MAX_BODY_BYTES = 4096

Link = Annotated[str, Path(min_length=8, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
TaskName = Annotated[str, Path(min_length=8, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]


class Answer(BaseModel):
    """One value for each criterion: -1, 0 or 1 for left, the same, right; 1 to 4 for a single motion."""

    model_config = ConfigDict(extra="forbid")

    answers: dict[str, int] = Field(max_length=8)


def arena_app(arena: Arena) -> FastAPI:
    """The application of one arena."""
    app = FastAPI(
        title="MotionMillion-Eval rating", docs_url=None, redoc_url=None, openapi_url=None
    )

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

    def rater_of(link: str) -> str:
        rater = arena.store.rater_of(link)
        if rater is None:
            raise HTTPException(404, "no such rating link; ask for yours again")
        return rater

    @app.get("/healthz")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/static/{name}")
    def static(name: str) -> Response:
        text = _static(name)
        if text is None:
            raise HTTPException(404, "no such file")
        return Response(text, media_type=_KINDS[name[name.rfind(".") :]])

    @app.get("/rate/{link}/")
    def page(link: Link) -> HTMLResponse:
        rater_of(link)
        return HTMLResponse(_text("rate.html"))

    @app.get("/rate/{link}/task")
    def task(link: Link) -> dict[str, Any]:
        return arena.question(rater_of(link))

    @app.get("/rate/{link}/task/{name}/{side}")
    def motion(link: Link, name: TaskName, side: int) -> dict[str, Any]:
        try:
            return arena.motion(rater_of(link), name, side)
        except KeyError:
            raise HTTPException(404, "no such motion") from None

    @app.post("/rate/{link}/task/{name}")
    def answer(link: Link, name: TaskName, given: Answer) -> dict[str, bool]:
        try:
            return {"new": arena.answer(rater_of(link), name, given.answers)}
        except KeyError:
            raise HTTPException(404, "no such task") from None
        except ValueError as error:
            raise HTTPException(422, str(error)) from None

    return app


def _static(name: str) -> str | None:
    """A file of the pages by its name; what is not among them is not there."""
    known = {entry.name for entry in (resources.files("motionmill.server") / "static").iterdir()}
    suffix = name[name.rfind(".") :]
    return _text(name) if name in known and suffix in _KINDS else None


def _text(name: str) -> str:
    return (resources.files("motionmill.server") / "static" / name).read_text(encoding="utf-8")
