"""The HTTP interface in one process: what is asked for comes, what makes no sense is refused in the same form."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

pytest.importorskip("fastapi", reason="the extra server is not installed")

import motionmill
from motionmill.pipeline import TextToMotion
from motionmill.server.measures import contact_runs
from motionmill.server.runner import Limits
from tests.server import serving_app

PROMPT = {"prompt": "a person bows", "seconds": 1, "seed": 3, "candidates": 1}


@pytest.fixture(scope="module")
def pipeline() -> TextToMotion:
    return serving_app.pipeline()


@pytest.fixture(scope="module")
def client(pipeline: TextToMotion, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with serving_app.client(pipeline, tmp_path_factory.mktemp("studio")) as made:
        yield made


@pytest.fixture
def idle(pipeline: TextToMotion, tmp_path: Path) -> Iterator[Any]:
    """A server whose engine stands still."""
    with serving_app.client(pipeline, tmp_path, started=False, max_queued=3) as made:
        yield made


def events(client: Any, job: str) -> list[tuple[str, dict[str, Any]]]:
    text = client.get(f"/v1/jobs/{job}/events").text
    blocks = [block.split("\n") for block in text.split("\n\n") if block.startswith("event")]
    return [(head[len("event: ") :], json.loads(data[len("data: ") :])) for head, data in blocks]


def make(client: Any, request: dict[str, Any]) -> dict[str, Any]:
    answer = client.post("/v1/motions", json=request)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/v1/jobs/{answer.json()['id']}"
    seen = events(client, answer.json()["id"])
    assert seen[-1][0] == "done", seen[-1]
    return dict(seen[-1][1]["job"])


def test_the_motion_of_the_command_line(
    client: Any, pipeline: TextToMotion, tmp_path: Path
) -> None:
    job = make(client, PROMPT | {"samples": 2, "candidates": 2})
    assert [motion["seed"] for motion in job["motions"]] == [3, 4]
    for motion in job["motions"]:
        answer = client.get(f"/v1/motions/{motion['id']}.npz?cleanup=0")
        assert answer.status_code == 200
        (tmp_path / "m.npz").write_bytes(answer.content)
        ours = motionmill.load(tmp_path / "m.npz")
        same = pipeline("a person bows", seconds=1, seed=motion["seed"], candidates=2, cleanup=0)
        torch.testing.assert_close(
            ours.rotations, same.rotations.to(ours.rotations), atol=1e-6, rtol=0
        )
        assert ours.name == "a person bows"


def test_frames_come_before_the_end(client: Any) -> None:
    name = client.post("/v1/motions", json=PROMPT | {"seconds": 2}).json()["id"]
    seen = events(client, name)
    kinds = [kind for kind, _ in seen]
    assert kinds[-1] == "done"
    if "frames" in kinds:  # a reader that came too late for the frames gets the end only
        frames = [facts for kind, facts in seen if kind == "frames"]
        assert frames[0]["start"] == 0
        for before, after in itertools.pairwise(frames):
            assert after["start"] == before["start"] + before["frames"]
        assert (
            frames[-1]["start"] + frames[-1]["frames"] == seen[-1][1]["job"]["motions"][0]["frames"]
        )


def test_a_timeline_and_files_made_before(client: Any, tmp_path: Path) -> None:
    parts = [{"prompt": "a person walks", "seconds": 1}, {"prompt": "a person waves", "seconds": 1}]
    job = make(client, {"timeline": parts, "seed": 1, "candidates": 1, "formats": ["glb", "bvh"]})
    motion = job["motions"][0]
    assert motion["seconds"] == pytest.approx(2, abs=0.2)
    answer = client.get(motion["files"]["glb"])
    assert answer.headers["content-type"] == "model/gltf-binary"
    assert answer.headers["content-disposition"] == 'attachment; filename="a-person-walks-0.glb"'
    (tmp_path / "m.glb").write_bytes(answer.content)
    read = motionmill.load(tmp_path / "m.glb")
    assert (len(read), read.name) == (motion["frames"], "a person walks; a person waves")
    bvh = client.get(motion["files"]["bvh"] + "?names=mixamo")
    assert "mixamorig" in bvh.text or "Hips" in bvh.text


def test_a_timeline_is_the_one_of_the_command_line(
    client: Any, pipeline: TextToMotion, tmp_path: Path
) -> None:
    """Candidates, what a part is told of the one before, and the softened seams."""
    parts = [("someone kicks", 1.5), ("a person walks", 1.0), ("a person bows", 1.0)]
    timeline = [{"prompt": prompt, "seconds": seconds} for prompt, seconds in parts]
    job = make(client, {"timeline": timeline, "seed": 5, "candidates": 3})
    answer = client.get(f"/v1/motions/{job['motions'][0]['id']}.npz?cleanup=0")
    (tmp_path / "m.npz").write_bytes(answer.content)
    ours = motionmill.load(tmp_path / "m.npz")
    same = pipeline.timeline(parts, seed=5, candidates=3, cleanup=0)
    torch.testing.assert_close(ours.rotations, same.rotations.to(ours.rotations), atol=1e-6, rtol=0)
    torch.testing.assert_close(ours.root, same.root.to(ours.root), atol=1e-6, rtol=0)


def test_convert_an_upload(client: Any, shared: Path, tmp_path: Path) -> None:
    source = sorted((shared / "data").rglob("*.bvh"))[0]
    answer = client.post(
        "/v1/motions/convert?from=bvh&to=glb",
        content=source.read_bytes(),
        headers={"content-type": "application/octet-stream"},
    )
    assert answer.status_code == 200, answer.text
    (tmp_path / "m.glb").write_bytes(answer.content)
    motion = motionmill.load(tmp_path / "m.glb")
    assert motion.skeleton.num_joints == 22
    assert all(0 <= start < end <= len(motion) for _, start, end in contact_runs(motion))


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"HIERARCHY\nROOT x\n{", "bvh"),
        (b"\x00" * 100, "glb"),
        (b"PK\x03\x04" + b"\xff" * 50, "npz"),
        (
            b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 272), }",
            "npy",
        ),
        (b"HIERARCHY\n" + b"ROOT a\n{\n OFFSET 0 0 0\n JOINT b\n{\n" * 3000, "bvh"),
    ],
)
def test_damaged_uploads(client: Any, data: bytes, kind: str) -> None:
    headers = {"content-type": "application/octet-stream"}
    answer = client.post(f"/v1/motions/convert?from={kind}", content=data, headers=headers)
    check_problem(answer, 422)
    assert "/" not in answer.json()["detail"].replace("m/s", "")


def check_problem(answer: Any, status: int) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.json()["detail"]


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"prompt": ""},
        {"prompt": "   "},
        {"prompt": "a" * 2001},
        {"prompt": "x", "timeline": [{"prompt": "y"}]},
        {"timeline": []},
        {"timeline": [{"prompt": "y"}] * 17},
        {"timeline": [{"prompt": "y", "seconds": 60}] * 3},
        {"prompt": "x", "seconds": 0},
        {"prompt": "x", "seconds": 0.01},
        {"prompt": "x", "seconds": "four"},
        {"prompt": "x", "samples": 9},
        {"prompt": "x", "seed": -1},
        {"prompt": "x", "seed": 2**60},
        {"prompt": "x", "formats": ["exe"]},
        {"prompt": "x", "sampling": {"min_seconds": 5, "max_seconds": 2}},
        {"prompt": "x", "unknown": 1},
        {"prompt": "\ud800"},
        [],
        None,
    ],
)
def test_requests_that_make_no_sense(client: Any, request_: Any) -> None:
    content = json.dumps(request_)
    headers = {"content-type": "application/json"}
    check_problem(client.post("/v1/motions", content=content, headers=headers), 422)


def test_attacks(client: Any) -> None:
    headers = {"content-type": "application/json"}
    deep = "[" * 30_000
    assert client.post("/v1/motions", content=deep, headers=headers).status_code in (400, 422)
    huge = json.dumps({"prompt": "a" * (1 << 20)})
    check_problem(client.post("/v1/motions", content=huge, headers=headers), 413)

    def endless() -> Iterator[bytes]:
        for _ in range(200):
            yield b" " * 1024

    check_problem(client.post("/v1/motions", content=endless(), headers=headers), 413)
    for path in ("/v1/motions/../../etc/passwd", "/static/../app.py", "/static/%2e%2e/app.py"):
        assert client.get(path).status_code == 404
    check_problem(client.get("/v1/jobs/..%2f..%2fetc"), 404)
    check_problem(client.get("/v1/jobs/zz"), 422)
    check_problem(client.get(f"/v1/motions/{'0' * 24}-0.glb"), 404)
    check_problem(client.get(f"/v1/motions/{'0' * 24}-0.exe"), 422)
    check_problem(client.put("/v1/motions", json=PROMPT), 405)
    check_problem(client.get("/v1/models", headers={"host": "evil.example"}), 421)
    check_problem(client.get("/v1/models", headers={"sec-fetch-site": "cross-site"}), 403)


def test_markup_in_a_prompt_stays_text(client: Any) -> None:
    prompt = "<script>alert(1)</script>\"'&\r\nX: y"
    job = make(client, PROMPT | {"prompt": prompt})
    assert job["request"]["prompt"] == prompt
    answer = client.get(job["motions"][0]["files"]["bvh"])
    assert (
        answer.headers["content-disposition"]
        == 'attachment; filename="script-alert-1-script-x-y-0.bvh"'
    )
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_every_answer_has_the_headers(client: Any) -> None:
    for path in ("/", "/static/studio.js", "/v1/models", "/v1/jobs/zz"):
        answer = client.get(path)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert "access-control-allow-origin" not in answer.headers


def test_a_full_queue(idle: Any) -> None:
    jobs = [idle.post("/v1/motions", json=PROMPT).json() for _ in range(3)]
    assert [job["position"] for job in jobs] == [1, 2, 3]
    answer = idle.post("/v1/motions", json=PROMPT)
    check_problem(answer, 429)
    assert int(answer.headers["retry-after"]) >= 1
    cancelled = idle.delete(f"/v1/jobs/{jobs[0]['id']}")
    assert cancelled.json()["state"] == "cancelled"
    check_problem(idle.delete(f"/v1/jobs/{jobs[0]['id']}"), 409)
    assert idle.get(f"/v1/jobs/{jobs[1]['id']}").json()["position"] == 1
    assert events(idle, jobs[0]["id"]) == [("cancelled", {})]
    check_problem(idle.get(f"/v1/motions/{jobs[1]['id']}-0.glb"), 404)
    health = idle.get("/healthz").json()
    assert (health["queued"], health["running"]) == (2, 0)
    assert "motionmill_jobs_queued 2" in idle.get("/metrics").text


def test_tokens(pipeline: TextToMotion, tmp_path: Path) -> None:
    token = "a-token-of-some-length"
    with serving_app.client(
        pipeline, tmp_path, started=False, token=token, only_loopback=False
    ) as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/").status_code == 200
        for sent in (
            None,
            "Bearer",
            "Bearer wrong",
            f"Basic {token}",
            f"Bearer {token}x",
            "Bearer é",
        ):
            headers = {} if sent is None else {"authorization": sent.encode("latin-1")}
            answer = client.get("/v1/models", headers=headers)
            check_problem(answer, 401)
            assert answer.headers["www-authenticate"] == "Bearer"
        good = {"authorization": f"Bearer {token}", "host": "anything.example"}
        assert client.get("/v1/models", headers=good).status_code == 200


def test_a_job_that_takes_too_long(pipeline: TextToMotion, tmp_path: Path) -> None:
    with serving_app.client(pipeline, tmp_path, limits=Limits(job_seconds=1e-6)) as client:
        name = client.post("/v1/motions", json=PROMPT | {"seconds": 9}).json()["id"]
        kind, facts = events(client, name)[-1]
        assert (kind, "took longer" in facts["reason"]) == ("failed", True)


class WaitingEncoder(serving_app.HashEncoder):
    """Reads one text only when it is allowed to, and never another."""

    def __init__(self) -> None:
        self.begun, self.allowed = threading.Event(), threading.Event()

    def encode(self, texts: Sequence[str]) -> list[Tensor]:
        if "a long thought" in texts:
            self.begun.set()
            assert self.allowed.wait(60)
        if "nonsense" in texts:
            raise ValueError("nonsense cannot be read")
        return super().encode(texts)


def test_reading_a_text_holds_nobody_up(pipeline: TextToMotion, tmp_path: Path) -> None:
    encoder = WaitingEncoder()
    reading = TextToMotion(pipeline.release, encoder)
    with serving_app.client(reading, tmp_path) as client:
        before = make(client, PROMPT)
        slow = client.post("/v1/motions", json=PROMPT | {"prompt": "a long thought"}).json()["id"]
        assert encoder.begun.wait(60)
        after = make(client, PROMPT)  # its text is known
        assert after["motions"][0]["physics"] == before["motions"][0]["physics"]
        assert client.get(f"/v1/jobs/{slow}").json()["state"] == "running"
        encoder.allowed.set()
        assert events(client, slow)[-1][0] == "done"
        bad = client.post("/v1/motions", json=PROMPT | {"prompt": "nonsense"}).json()["id"]
        kind, facts = events(client, bad)[-1]
        assert (kind, facts["reason"]) == ("failed", "nonsense cannot be read")
