"""A server of our own, motions from it, and a blind rating of two settings in the browser.

python examples/06_serve_and_rate.py    # open a rater's address; Enter shows the results so far, Ctrl-D ends
"""

import json
import subprocess
import sys
import time
import urllib.request

SERVER = "http://127.0.0.1:8123"
PROMPTS = ["a person bows", "a person waves", "a tired person walks forward"]
SETTINGS = {"raw": 0.0, "cleaned": 1.0}


def call(path, value=None):
    """GET, or POST of a value as JSON; the answer's JSON."""
    data = None if value is None else json.dumps(value).encode()
    request = urllib.request.Request(SERVER + path, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def made(prompt):
    """The id of a new motion, when it is there."""
    job = call("/v1/motions", {"prompt": prompt, "seconds": 3, "seed": 0})
    while job["state"] in ("queued", "running"):
        time.sleep(0.2)
        job = call(f"/v1/jobs/{job['id']}")
    return job["motions"][0]["id"]


command = [sys.executable, "-m", "motionmill", "serve", "--port", "8123", "--folder", "studio"]
with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
    print(server.stdout.readline().strip())
    try:
        motions = [made(prompt) for prompt in PROMPTS]
        systems = {
            name: {"motions": motions, "cleanup": cleanup} for name, cleanup in SETTINGS.items()
        }
        rating = call("/v1/ratings", {"systems": systems, "raters": 2})
        for rater, page in rating["raters"].items():
            print(f"{rater}: {SERVER}{page}", flush=True)
        for _ in sys.stdin:
            print(json.dumps(call(f"/v1/ratings/{rating['id']}")["results"], indent=1), flush=True)
    finally:
        server.terminate()
