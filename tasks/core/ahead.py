"""An iterator that is worked ahead of its reader by a thread: decoding, generating and encoding at the same time."""

import queue
import threading
from collections.abc import Generator, Iterable
from typing import TypeVar

T = TypeVar("T")
WAIT_S = 0.2  # how often a thread looks whether it is still wanted


def ahead(things: Iterable[T], num: int) -> Generator[T]:
    """The same things in the same order, `num` of them ready at most; errors arrive where they would have.

    What is read no further is ended: the thread stops and `things` is closed, in that thread.
    """
    ready: queue.Queue[tuple[bool, T | BaseException | None]] = queue.Queue(num)
    unwanted = threading.Event()

    def put(item: tuple[bool, T | BaseException | None]) -> None:
        while not unwanted.is_set():
            try:
                ready.put(item, timeout=WAIT_S)
                return
            except queue.Full:
                continue

    def work() -> None:
        source = iter(things)
        try:
            for thing in source:
                put((True, thing))
                if unwanted.is_set():
                    return
            put((False, None))
        except BaseException as error:  # noqa: BLE001 - it is raised again where the things are read
            put((False, error))
        finally:
            if hasattr(source, "close"):
                source.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            more, thing = ready.get()
            if isinstance(thing, BaseException):
                raise thing
            if not more:
                return
            yield thing  # type: ignore[misc]
    finally:
        unwanted.set()
        thread.join()
