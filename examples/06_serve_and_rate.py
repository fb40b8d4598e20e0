"""A server of our own, motions of two settings from it, and a blind rating of them in the browser.

python examples/06_serve_and_rate.py    # then open the rater's address that it prints; Ctrl-C ends
"""

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

SERVER = "http://127.0.0.1:8123"
PROMPTS = {"bow": "a person bows", "wave": "a person waves", "walk": "a tired person walks forward"}
SETTINGS = {"raw": 0.0, "cleaned": 1.0}


def call(path, value=None):
    """GET, or POST of a value as JSON; the bytes of the answer."""
    data = None if value is None else json.dumps(value).encode()
    request = urllib.request.Request(SERVER + path, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return answer.read()


folder = Path("rating")
suite = folder / "prompts.jsonl"
folder.mkdir(exist_ok=True)
suite.write_text("".join(json.dumps({"id": k, "prompt": v}) + "\n" for k, v in PROMPTS.items()))
command = [sys.executable, "-m", "motionmill", "serve", "--port", "8123", "--folder", "rating/jobs"]
with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
    print(server.stdout.readline().strip())
    try:
        wanted = {"seconds": 3, "seed": 0}
        jobs = {
            name: json.loads(call("/v1/motions", {"prompt": prompt, **wanted}))["id"]
            for name, prompt in PROMPTS.items()
        }
        for name, job in jobs.items():
            while json.loads(call(f"/v1/jobs/{job}"))["state"] != "done":
                time.sleep(0.2)
            for system, cleanup in SETTINGS.items():
                (folder / system / "0").mkdir(parents=True, exist_ok=True)
                file = folder / system / "0" / f"{name}.npz"
                file.write_bytes(call(f"/v1/motions/{job}-0.npz?cleanup={cleanup}"))
    finally:
        server.terminate()

systems = [str(folder / system) for system in SETTINGS]
rate = ["benchmark", "rate", *systems, "--suite", str(suite), "-o", "rating/votes.db"]
subprocess.run([sys.executable, "-m", "motionmill", *rate], check=False)
