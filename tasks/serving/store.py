"""The space that uploads and outputs may take: one account, in which check and booking are one step."""

import shutil
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tasks.core.errors import UserError


class Full(UserError):
    """There is no room now; there will be."""

    http_status = 507


@dataclass
class Store:
    """Folders under `root`, one for each upload or output, and the bytes booked for them.

    make_room: frees what is needed least, returns whether anything was freed; called without the lock
    """

    root: Path
    most_bytes: int
    make_room: Callable[[], bool] = lambda: False
    booked: dict[Path, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def folder(self) -> Path:
        """A new folder.  Errors: Full"""
        try:
            made = Path(tempfile.mkdtemp(dir=self.root))
        except OSError as error:
            raise Full(f"nothing can be stored on this machine: {error.strerror}") from error
        self.book(made, 0)
        return made

    def book(self, folder: Path, num_bytes: int) -> None:
        """Take some bytes for a folder before they are written.  Errors: Full; nothing is booked then"""
        while True:
            with self._lock:
                if sum(self.booked.values()) + num_bytes <= self.most_bytes:
                    self.booked[folder] = self.booked.get(folder, 0) + num_bytes
                    return
            if not self.make_room():
                raise Full("the app's storage is full just now; what is not in use goes in a few minutes: try again")

    def measure(self, folder: Path) -> None:
        """Book what a folder really holds, as after a job."""
        held = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        with self._lock:
            if folder in self.booked:
                self.booked[folder] = held

    def drop(self, folder: Path) -> None:
        """Delete a folder, and what is booked for it."""
        shutil.rmtree(folder, ignore_errors=True)
        with self._lock:
            self.booked.pop(folder, None)
