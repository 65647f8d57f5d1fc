"""An S3 server of its own process on loopback: moto's. Its bucket is in memory and ends with it."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from importlib.util import find_spec

import pytest

BUCKET = "lipsync"
SECRET = "wJalrXUtnFEMI-made-up-for-the-tests"


def needed():
    """Skips, with a reason, where the extra `s3` or the tests' server is not installed."""
    for name in ("s3fs", "dvc_s3", "moto", "flask"):
        if find_spec(name) is None:
            pytest.skip(f"{name} is not installed: extras s3 and dev")


@contextmanager
def serving(folder):
    """Yields the environment variables under which AWS's tools find the server, and the bucket in it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (folder / "s3.log").open("w") as log:
        running = subprocess.Popen(
            [sys.executable, "-c", f"from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])"],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert running.poll() is None and time.monotonic() < deadline, (folder / "s3.log").read_text()
                time.sleep(0.1)
        variables = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "AKIAMADEUPFORTESTS",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        code = f"import s3fs; s3fs.S3FileSystem().mkdir({BUCKET!r})"
        subprocess.run([sys.executable, "-c", code], env=os.environ | variables, check=True, timeout=120)
        yield variables
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
