"""The steps of the Dockerfile, one after another, in a folder that holds a bare system: no engine is needed, but root.

debootstrap --variant=minbase --include=ca-certificates,python3.11-venv bookworm ROOT
python tests/server/image_steps.py ROOT

It ends with the server of ENTRYPOINT, under USER and with nothing but VOLUME and /tmp to write in, which has to pass
HEALTHCHECK, to refuse who has no token, and to make a motion. PIP_* variables are handed on, so that a mirror will do.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
ADDRESS = "http://127.0.0.1:8000"


def steps_of(dockerfile: Path) -> list[tuple[str, str]]:
    """Instruction and the rest of each step, lines joined, comments left out."""
    text = re.sub(r"^#.*\n", "", dockerfile.read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n", "", text).splitlines()
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines if line]


class Image:
    """A folder that becomes what an image would be."""

    def __init__(self, root: Path) -> None:
        self.root, self.folder = root, "/"
        handed = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        self.values = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", **handed}
        self.started: dict[str, Any] = {}

    def _assigned(self) -> list[str]:
        return [f"{name}={value}" for name, value in self.values.items()]

    def step(self, kind: str, rest: str) -> None:
        """One instruction."""
        if kind == "ARG":
            name, _, value = rest.partition("=")
            self.values[name] = value
        elif kind == "ENV":
            self.values |= dict(word.split("=", 1) for word in rest.split())
        elif kind == "WORKDIR":
            self.folder = rest
            (self.root / rest[1:]).mkdir(parents=True, exist_ok=True)
        elif kind == "COPY":
            *names, target = rest.split()
            for name in names:
                self.copy(CHECKOUT / name, self.root / self.folder[1:] / target)
        elif kind == "RUN":
            shell = json.loads(self.started["SHELL"])
            place = ["env", "-i", f"--chdir={self.folder}", *self._assigned(), *shell, rest]
            print("+ RUN", rest, flush=True)
            subprocess.run(["chroot", str(self.root), *place], check=True)
        else:
            self.started[kind] = rest

    def copy(self, source: Path, target: Path) -> None:
        print("+ COPY", source, flush=True)
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, target, dirs_exist_ok=True, ignore=ignored)
        else:
            shutil.copy(source, target / source.name if target.is_dir() else target)

    def serve(self) -> subprocess.Popen[str]:
        """ENTRYPOINT as USER."""
        words = json.loads(self.started["ENTRYPOINT"])
        user = self.started["USER"]
        place = ["env", "-i", f"--chdir={self.folder}", "HOME=/tmp", *self._assigned(), *words]
        return subprocess.Popen(["chroot", f"--userspec={user}:{user}", str(self.root), *place])

    def healthy(self) -> bool:
        """HEALTHCHECK once."""
        words = json.loads(self.started["HEALTHCHECK"].partition("CMD ")[2])
        place = ["chroot", str(self.root), "env", "-i", *self._assigned(), *words]
        return subprocess.run(place, capture_output=True, check=False).returncode == 0


def call(path: str, token: str, value: Any = None) -> bytes:
    data = None if value is None else json.dumps(value).encode()
    headers = {"Content-Type": "application/json"}
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    with urllib.request.urlopen(urllib.request.Request(ADDRESS + path, data, headers)) as answer:
        return bytes(answer.read())


def status(path: str) -> int:
    """How a request without a token is answered."""
    try:
        call(path, "")
    except urllib.error.HTTPError as error:
        return error.code
    return 200


def main(root: Path) -> None:
    image = Image(root)
    subprocess.run(["chroot", str(root), "python3.11", "-m", "venv", "/usr/local"], check=True)
    for kind, rest in steps_of(CHECKOUT / "Dockerfile"):
        if kind != "FROM":
            image.step(kind, rest)
    server = image.serve()
    try:
        start = time.monotonic()
        while not image.healthy():
            assert server.poll() is None, "the server has ended"
            assert time.monotonic() - start < 120, "no server after two minutes"
            time.sleep(1)
        print(f"healthy after {time.monotonic() - start:.0f} s")
        assert status("/v1/models") == 401
        token = (root / image.started["VOLUME"][1:] / "token.txt").read_text().strip()
        job = json.loads(call("/v1/motions", token, {"prompt": "a person bows", "seconds": 2}))
        while job["state"] in ("queued", "running"):
            time.sleep(0.2)
            job = json.loads(call(f"/v1/jobs/{job['id']}", token))
        glb = call(f"/v1/motions/{job['motions'][0]['id']}.glb", token)
        assert glb[:4] == b"glTF", job
        print(f"{job['state']}: a GLB of {len(glb)} bytes")
    finally:
        server.terminate()
        print(f"ended with {server.wait(15)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
