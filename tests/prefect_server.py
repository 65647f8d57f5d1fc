"""A Prefect server, as `make server` starts it, in a folder of its own; and what its API answers."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

FOREIGN = ("LIPGAN_", "PREFECT_", "MLFLOW_TRACKING")  # of whoever runs the tests: not for the project under test


def variables(folder, **more):
    own = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return own | {"LIPGAN_TRACKING": "off", "PREFECT_HOME": str(folder / ".prefect"), "OMP_NUM_THREADS": "1"} | more


@contextmanager
def running(folder):
    """Yields the address of its API."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, env=variables(folder), stdout=log, stderr=log, start_new_session=True)
    address = f"http://127.0.0.1:{port}/api"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{address}/health", timeout=1)
                break
            except OSError:
                assert server.poll() is None, (folder / "log").read_text()
                time.sleep(0.2)
        yield address
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def ask(server, path, **body):
    """POST; the answer. Busy, its database refuses for a moment."""
    wanted = json.dumps(body).encode()
    request = urllib.request.Request(f"{server}/{path}", wanted, {"Content-Type": "application/json"})
    for _ in range(20):
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise
            time.sleep(0.5)
    raise AssertionError(f"{path}: the server stayed busy")
