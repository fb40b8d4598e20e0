"""What a hostile client may try on a listening server: it is refused or cut off, and others are served as before."""

from __future__ import annotations

import hmac
import io
import json
import random
import socket
import struct
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the extra server is not installed")

from motionmill.server import connections, guard
from motionmill.server.metrics import memory_bytes
from motionmill.server.workshop import Workshop
from tests.server import serving_app

TOKEN = "a-token-of-some-length"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that takes jobs and makes nothing; its processes have little time and memory."""
    shop = Workshop(1, seconds=20, memory_bytes=600 << 20)
    folder = tmp_path_factory.mktemp("attacked")
    pipeline = serving_app.pipeline()
    with serving_app.listening(
        pipeline, folder, started=False, shop=shop, videos=shop, token=TOKEN
    ) as address:
        yield address


def ask(address: str, path: str, data: bytes | None = None, **headers: str) -> tuple[int, Any]:
    """Status and JSON of an answer."""
    headers = {"Authorization": f"Bearer {TOKEN}"} | headers
    request = urllib.request.Request(address + path, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def connect(address: str) -> socket.socket:
    place = urllib.parse.urlsplit(address)
    assert place.hostname is not None
    return socket.create_connection((place.hostname, place.port or 80), timeout=30)


def rest(client: socket.socket) -> bytes:
    """What comes until the server closes."""
    found = b""
    try:
        while data := client.recv(1 << 16):
            found += data
    except ConnectionResetError:
        pass
    return found


def npz_bomb(size: int, noisy: int = 0) -> bytes:
    """What unpacks to so many MiB, of which so many bytes each are not zero, declared as they are."""
    held = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        held, {"descr": "<f8", "fortran_order": False, "shape": (size << 10, 128)}
    )
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("poses.npy", "w", force_zip64=True) as member,
    ):
        member.write(held.getvalue())
        for number in range(size):
            noise = random.Random(number).randbytes(noisy)
            member.write(noise + bytes((1 << 20) - noisy))
    return packed.getvalue()


def glb_bomb() -> bytes:
    """A few bytes whose accessor says that it has two thousand million numbers, all zero."""
    accessor = {"componentType": 5126, "count": 2**31 - 1, "type": "SCALAR"}
    joint = {"name": "hips"}
    document = {
        "asset": {"version": "2.0"},
        "nodes": [joint],
        "scenes": [{"nodes": [0]}],
        "skins": [{"joints": [0]}],
        "accessors": [accessor, accessor | {"type": "VEC4"}],
        "animations": [
            {
                "channels": [{"sampler": 0, "target": {"node": 0, "path": "rotation"}}],
                "samplers": [{"input": 0, "output": 1}],
            }
        ],
    }
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    chunk = struct.pack("<I4s", len(text), b"JSON") + text
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunk)) + chunk


def outside_glb() -> bytes:
    """A model that wants its numbers from a file of the server."""
    text = json.dumps(
        {"asset": {"version": "2.0"}, "buffers": [{"uri": "file:///etc/passwd", "byteLength": 99}]}
    ).encode()
    text += b" " * (-len(text) % 4)
    chunk = struct.pack("<I4s", len(text), b"JSON") + text
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunk)) + chunk


def huge_gif() -> bytes:
    """A few bytes that say that they are a picture of 65,535 by 65,535."""
    return b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b"\x21\xf9\x04\0\0\0\0\0;"


@pytest.mark.parametrize(
    ("path", "make"),
    [
        ("convert?from=npz", lambda: npz_bomb(520)),
        ("convert?from=glb", glb_bomb),
        ("convert?from=glb", outside_glb),
        ("extract", huge_gif),
        ("extract", lambda: b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"),
        ("extract", lambda: b"ffconcat version 1.0\nfile /etc/passwd\n"),
        ("extract", lambda: b"\0\0\0\x18ftypmp42" + bytes(200)),
    ],
    ids=["npz", "glb", "glb-file", "gif", "hls", "concat", "mp4"],
)
def test_uploads_that_are_more_than_they_seem(
    address: str, path: str, make: Callable[[], bytes]
) -> None:
    data = make()
    before = memory_bytes()
    status, problem = ask(
        address, f"/v1/motions/{path}", data, **{"Content-Type": "application/octet-stream"}
    )
    assert status == 422, problem
    assert "/" not in problem["detail"]
    assert "root:" not in problem["detail"]
    assert memory_bytes() - before < 64 << 20  # it was unpacked elsewhere, or not at all


@pytest.mark.slow
def test_a_process_has_so_much_memory() -> None:
    """A bomb that the reader takes for a long motion: there is no memory for it, and the next task has its own."""
    shop = Workshop(1, seconds=30, memory_bytes=200 << 20)
    try:
        with pytest.raises(ValueError, match=r"more memory|Unable to allocate"):
            shop.convert(npz_bomb(300, 9000), "npz", "glb")
        assert shop.character()[:4] == b"glTF"
    finally:
        shop.close()


def test_floods_of_headers(address: str) -> None:
    for header in (b"X: " + b"a" * (1 << 20), b"".join(b"X%d: a\r\n" % k for k in range(100_000))):
        with connect(address) as client:
            try:
                client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + header)
                answer = rest(client)
            except (BrokenPipeError, ConnectionResetError):
                answer = b""  # closed while more was coming
            assert answer == b"" or answer.startswith(b"HTTP/1.1 400")
    assert ask(address, "/healthz")[0] == 200


def test_half_a_request_is_not_waited_for(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(connections, "BODY_SECONDS", 0.5)
    post = f"POST /v1/motions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
    whole = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for words in (
        "",
        "GET / HTTP/1.1\r\nHost:",
        post + "Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{",
        whole + "GET / HTTP/1.1\r\n",
    ):
        with connect(address) as client:
            begun = time.monotonic()
            client.sendall(words.encode())
            assert rest(client).count(b"HTTP/1.1 200") == (words.startswith(whole))
            assert time.monotonic() - begun < 20
    monkeypatch.undo()
    assert ask(address, "/healthz")[0] == 200


def test_a_reader_that_does_not_read_is_let_go(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "READER_SECONDS", 0.3)
    with connect(address) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one = b"GET /static/vendor/three.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
        client.sendall(one * 40)  # more than the system keeps for it
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            _until_cut_off(client, one)


def _until_cut_off(client: socket.socket, words: bytes) -> None:
    for _ in range(200):
        time.sleep(0.1)
        client.sendall(words)


def test_more_uploads_than_memory_is_for(address: str) -> None:
    head = (
        f"POST /v1/motions/convert?from=bvh HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
        "Content-Type: application/octet-stream\r\nContent-Length: 1000000\r\n\r\n"
    ).encode()
    clients = [connect(address) for _ in range(guard.MAX_UPLOADS)]
    try:
        for client in clients:
            client.sendall(head)
        until = time.monotonic() + 20
        while (status := ask(address, "/v1/motions/convert?from=bvh", b"x")[0]) != 503:
            assert time.monotonic() < until, status
    finally:
        for client in clients:
            client.close()
    until = time.monotonic() + 20
    while ask(address, "/v1/motions/convert?from=bvh", b"x")[0] == 503:
        assert time.monotonic() < until


def test_tokens_are_compared_in_constant_time(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def watched(given: bytes, own: bytes) -> bool:
        compared.append((given, own))
        return hmac.compare_digest(given, own)

    monkeypatch.setattr(guard, "compare_digest", watched)
    assert ask(address, "/v1/models", Authorization="Bearer wrong")[0] == 401
    assert ask(address, "/v1/models")[0] == 200
    assert compared == [(b"wrong", TOKEN.encode()), (TOKEN.encode(), TOKEN.encode())]


@pytest.mark.parametrize(
    "path",
    [
        "/static/../guard.py",
        "/static/%2e%2e/guard.py",
        "/static/..%2fguard.py",
        "/static/..%5cguard.py",
        "/static//etc/passwd",
        "/static/%00",
        "/v1/jobs/..%2f..%2fjobs.db",
        "/v1/motions/..%2f..%2fjobs.db",
        "/v1/motions/%2e%2e/%2e%2e/jobs.db",
        "/v1/motions/" + "0" * 24 + "-0%00.npz",
        "//etc/passwd",
    ],
)
def test_no_path_is_a_way_out(address: str, path: str) -> None:
    assert ask(address, path)[0] in (404, 422)


def test_json_that_is_large_or_deep(address: str) -> None:
    as_json = {"Content-Type": "application/json"}
    deep = b"[" * 30_000
    nested = b'{"sampling":' * 5_000 + b"1" + b"}" * 5_000
    prompt = json.dumps({"prompt": "a" * (1 << 20)}).encode()
    for data, statuses in ((deep, (400, 422)), (nested, (400, 422)), (prompt, (413,))):
        assert ask(address, "/v1/motions", data, **as_json)[0] in statuses
