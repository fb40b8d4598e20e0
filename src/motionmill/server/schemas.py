"""What is said over HTTP: requests, jobs, motions, problems, as pydantic models; torch-free."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

MAX_PARTS = 16
MAX_SAMPLES = 8
MAX_TOTAL_SECONDS = 120.0
MAX_RATED = 64
MAX_SEED = 2**53 - 1  # what JavaScript counts exactly

MediaType = {
    "glb": "model/gltf-binary",
    "bvh": "text/plain; charset=utf-8",
    "fbx": "application/octet-stream",
    "usd": "application/octet-stream",
    "usda": "text/plain; charset=utf-8",
    "usdz": "model/vnd.usdz+zip",
    "npz": "application/octet-stream",
    "npy": "application/octet-stream",
    "mp4": "video/mp4",
    "gif": "image/gif",
    "png": "image/png",
}


class Suffix(StrEnum):
    """Formats that motions are given in."""

    glb = "glb"
    bvh = "bvh"
    fbx = "fbx"
    usd = "usd"
    usda = "usda"
    usdz = "usdz"
    npz = "npz"
    npy = "npy"
    mp4 = "mp4"
    gif = "gif"
    png = "png"


class Source(StrEnum):
    """Formats of uploads."""

    bvh = "bvh"
    glb = "glb"
    npz = "npz"
    npy = "npy"


def _number(value: object) -> object:
    """As JSON has it: neither `true` nor `"4"` is a number."""
    if isinstance(value, bool | str):
        raise ValueError(f"{value!r} is no number")
    return value


Whole = Annotated[int, BeforeValidator(_number)]
Number = Annotated[float, BeforeValidator(_number)]
Names = Literal["smpl", "mixamo", "unreal", "unity"]
State = Literal["queued", "running", "done", "failed", "cancelled"]
Prompt = Annotated[str, StringConstraints(min_length=1, max_length=2000)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Part(_Message):
    """One thing that is done, and for how long; without seconds the model decides."""

    prompt: Prompt
    seconds: Number | None = Field(None, gt=0, le=60)


class Sampling(_Message):
    """How tokens are drawn; what is left out is the model's own."""

    temperature: Number | None = Field(None, ge=0, le=10)
    top_k: Whole | None = Field(None, gt=0, le=100_000)
    top_p: Number | None = Field(None, gt=0, le=1)
    guidance: Number | None = Field(None, ge=0, le=20)
    min_seconds: Number | None = Field(None, ge=0, le=60)
    max_seconds: Number | None = Field(None, gt=0, le=60)


class MotionRequest(_Message):
    """A prompt, or a timeline of prompts that becomes one continuous motion."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {"prompt": "a tired person walks forward", "seconds": 4, "seed": 7, "samples": 2},
                {
                    "timeline": [
                        {"prompt": "a person walks forward", "seconds": 3},
                        {"prompt": "a person waves with the right hand", "seconds": 2},
                    ],
                    "formats": ["glb", "bvh"],
                },
            ]
        },
    )

    prompt: Prompt | None = None
    seconds: Number | None = Field(
        None, gt=0, le=60, description="of the prompt; by default the model decides"
    )
    timeline: tuple[Part, ...] = Field(
        (), max_length=MAX_PARTS, description="prompts in a row, in place of `prompt`"
    )
    seed: Whole | None = Field(
        None, ge=0, le=MAX_SEED, description="sample k gets seed + k; drawn where it is left out"
    )
    samples: Whole = Field(1, ge=1, le=MAX_SAMPLES, description="variations")
    candidates: Whole | None = Field(
        None, ge=1, le=16, description="motions drawn for each sample, of which the best is taken"
    )
    sampling: Sampling = Sampling()
    cleanup: Number = Field(1.0, ge=0, le=1, description="strength of the foot-lock clean-up")
    formats: tuple[Suffix, ...] = Field(
        (), max_length=len(Suffix), description="files to have ready when the job is done"
    )

    @model_validator(mode="after")
    def _check(self) -> MotionRequest:
        if (self.prompt is None) == (not self.timeline):
            raise ValueError("give either `prompt` or `timeline`")
        if self.timeline and self.seconds is not None:
            raise ValueError(
                "`seconds` belongs to `prompt`; the parts of a timeline have their own"
            )
        total = sum(part.seconds or 0 for part in self.parts)
        if total > MAX_TOTAL_SECONDS:
            raise ValueError(f"{total:g} seconds in all; expected {MAX_TOTAL_SECONDS:g} at most")
        return self

    @property
    def parts(self) -> tuple[Part, ...]:
        if self.prompt is not None:
            return (Part(prompt=self.prompt, seconds=self.seconds),)
        return self.timeline


class MotionInfo(_Message):
    """A finished motion; its files are at `/v1/motions/{id}.{suffix}`."""

    id: str
    seed: int
    frames: int
    fps: float
    seconds: float
    physics: dict[str, float] = Field(description="of the cleaned motion")
    files: dict[str, str] = Field(description="suffix -> address")


class Job(_Message):
    """A request and what became of it."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "id": "5f0c5d2b7d3e4a7f9c0b1a2d",
                    "state": "queued",
                    "position": 1,
                    "created": 1780000000.0,
                    "finished": None,
                    "request": {"prompt": "a person bows", "seed": 7},
                    "reason": None,
                    "motions": [],
                }
            ]
        },
    )

    id: str
    state: State
    position: int | None = Field(None, description="in the queue, from 1")
    created: float = Field(description="seconds since 1970")
    finished: float | None = None
    request: dict[str, Any]
    reason: str | None = Field(None, description="why it failed")
    motions: tuple[MotionInfo, ...] = ()


class JobList(_Message):
    """The newest jobs, newest first."""

    jobs: tuple[Job, ...]


class RatedSystem(_Message):
    """Motions of this server that are rated as one system's."""

    motions: tuple[Annotated[str, StringConstraints(pattern="^[0-9a-f]{24}-[0-9]$")], ...] = Field(
        min_length=1, max_length=MAX_RATED
    )
    cleanup: Number | None = Field(
        None, ge=0, le=1, description="strength of the clean-up; as in the motion's request"
    )


class RatingRequest(_Message):
    """Systems to be compared blindly: the k-th motion of a prompt of one with the k-th of another."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "systems": {
                        "raw": {"motions": ["5f0c5d2b7d3e4a7f9c0b1a2d-0"], "cleanup": 0},
                        "cleaned": {"motions": ["5f0c5d2b7d3e4a7f9c0b1a2d-0"], "cleanup": 1},
                    },
                    "raters": 2,
                }
            ]
        },
    )

    systems: dict[Annotated[str, StringConstraints(min_length=1, max_length=60)], RatedSystem] = (
        Field(min_length=1, max_length=8, description="by names, which raters are not told")
    )
    raters: Whole = Field(3, ge=1, le=50)

    @model_validator(mode="after")
    def _check(self) -> RatingRequest:
        total = sum(len(system.motions) for system in self.systems.values())
        if total > MAX_RATED:
            raise ValueError(f"{total} motions in all; expected {MAX_RATED} at most")
        return self


class RatingInfo(_Message):
    """A blind rating: the raters' addresses, and what they have said so far."""

    id: str
    created: float = Field(description="seconds since 1970")
    systems: tuple[str, ...]
    prompts: int
    raters: dict[str, str] = Field(description="rater -> address of the rater's page")
    answered: dict[str, int] = Field(description="rater -> questions answered")
    results: dict[str, dict[str, dict[str, float]]] = Field(
        description="system -> criterion -> won, lost, tied comparisons and mean score, 1 to 4"
    )


class RatingList(_Message):
    """Newest first."""

    ratings: tuple[RatingInfo, ...]


class ModelInfo(_Message):
    """A model that this server runs."""

    name: str
    licence: str
    attribution: str
    fps: float
    context_seconds: float
    candidates: int
    sampling: dict[str, float | int | None]


class ModelList(_Message):
    """The models of this server."""

    models: tuple[ModelInfo, ...]


class Health(_Message):
    """Whether requests are taken."""

    status: Literal["ok", "stopping"]
    version: str
    queued: int
    running: int


class Problem(BaseModel):
    """An error as RFC 9457 has it (`application/problem+json`)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
