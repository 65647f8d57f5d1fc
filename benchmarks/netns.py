"""Hosts for rehearsals: network namespaces of this machine, each with a name, an address and folders of its own.

    with hosts(["a", "b"], folder, shared=False) as (a, b):
        a.start([sys.executable, "-m", "http.server"], log)
        b.vanish()

Every host works in the same path. What lies there is one folder for all of them, or a folder of its own, and then no
host can see another's. They are joined by a bridge; a host that vanishes keeps its processes and loses its link, which
its peers learn of by silence alone. Needs root and `ip` (iproute2): `demand`.
"""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which

NETWORK = "10.83.7"
ENTER = """
set -e
hostname "$NETNS_NAME"
mount --bind "$NETNS_BASE/names" /etc/hosts
mount --bind "$NETNS_BASE/disks/$NETNS_DISK" "$NETNS_BASE/work"
mount -t tmpfs none "$NETNS_BASE/disks"
for folder in $NETNS_HIDDEN; do mount -t tmpfs none "$folder"; done
mkdir -p "$NETNS_BASE/tmp/$NETNS_NAME"
cd "$NETNS_BASE/work"
exec "$@"
"""


def lacking() -> str:
    """What this machine lacks for hosts of this kind; "" if nothing."""
    if os.geteuid() or not which("ip") or not which("unshare"):
        return "network namespaces need root, ip (iproute2) and unshare (util-linux)"
    probe = f"lgp{os.getpid()}"
    for words in (["ip", "netns", "add", probe], ["ip", "netns", "del", probe], ["unshare", "-mu", "true"]):
        if (done := subprocess.run(words, capture_output=True, text=True)).returncode:
            return f"network namespaces are not permitted here: {done.stderr.strip()}"
    return ""


@dataclass
class Host:
    name: str
    address: str
    space: str  # the namespace
    link: str  # its end of the cable at the bridge
    base: Path
    disk: str
    hidden: Sequence[Path] = ()  # folders of this machine that it does not see
    processes: list[subprocess.Popen] = field(default_factory=list)

    @property
    def work(self) -> Path:
        """Where this host works: the same path on each."""
        return self.base / "work"

    @property
    def files(self) -> Path:
        """The same folder, as seen from outside."""
        return self.base / "disks" / self.disk

    def start(self, words: Sequence[str], log: Path, **variables: str) -> subprocess.Popen:
        """A program on this host, in its folder; it gets this process's environment and `variables`."""
        own = {
            "NETNS_NAME": self.name,
            "NETNS_BASE": str(self.base),
            "NETNS_DISK": self.disk,
            "NETNS_HIDDEN": " ".join(map(str, self.hidden)),
            "TMPDIR": str(self.base / "tmp" / self.name),
        }
        command = ["ip", "netns", "exec", self.space, "unshare", "-mu", "--propagation", "private"]
        with log.open("w") as out:
            process = subprocess.Popen(
                [*command, "sh", "-c", ENTER, "sh", *words],
                env=os.environ | own | variables,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def vanish(self) -> None:
        """Its link goes down: nobody is told, packets are lost."""
        _ip("link", "set", self.link, "down")

    def come_back(self) -> None:
        _ip("link", "set", self.link, "up")

    def stop(self) -> None:
        """End all that runs here."""
        while pids := subprocess.run(
            ["ip", "netns", "pids", self.space], capture_output=True, text=True
        ).stdout.split():
            for pid in map(int, pids):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
        for process in self.processes:
            process.wait()
        self.processes.clear()


@contextmanager
def hosts(names: Sequence[str], folder: Path, *, shared: bool) -> Iterator[list[Host]]:
    """`folder`: for what they write, and it stays.  shared: they have one disk"""
    base, mark = Path(tempfile.mkdtemp(dir=folder)), f"lg{os.getpid() % 100000}"
    made: list[Host] = []
    for place in ("work", "tmp", "disks"):
        (base / place).mkdir()
    try:
        _ip("link", "add", mark, "type", "bridge")
        _ip("link", "set", mark, "up")
        for number, name in enumerate(names, 1):
            disk = "shared" if shared else name
            (base / "disks" / disk).mkdir(exist_ok=True)
            host = Host(name, f"{NETWORK}.{number}", f"{mark}-{name}", f"{mark}.{number}", base, disk)
            made.append(host)
            _ip("netns", "add", host.space)
            _ip("link", "add", host.link, "type", "veth", "peer", "name", "eth0", "netns", host.space)
            _ip("link", "set", host.link, "master", mark, "up")
            _ip("-n", host.space, "addr", "add", f"{host.address}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                _ip("-n", host.space, "link", "set", device, "up")
        (base / "names").write_text("127.0.0.1 localhost\n" + "".join(f"{h.address} {h.name}\n" for h in made))
        yield made
    finally:
        for host in made:
            host.stop()
            subprocess.run(["ip", "netns", "del", host.space], capture_output=True)
        subprocess.run(["ip", "link", "del", mark], capture_output=True)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")
