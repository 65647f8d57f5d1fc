"""A thread that prepares items before they are read, so that decoding, generating and encoding overlap."""

import queue
import threading
from collections.abc import Generator, Iterable
from typing import TypeVar

T = TypeVar("T")
WAIT_S = 0.2  # how often the thread checks whether the reader has closed


def ahead(items: Iterable[T], num: int) -> Generator[T]:
    """The same items in the same order, at most `num` of them ready; an error is raised at its item's place.

    Closing the generator stops the thread, which closes `items`.
    """
    ready: queue.Queue[tuple[bool, T | BaseException | None]] = queue.Queue(num)
    closed = threading.Event()

    def put(entry: tuple[bool, T | BaseException | None]) -> None:
        while not closed.is_set():
            try:
                ready.put(entry, timeout=WAIT_S)
                return
            except queue.Full:
                continue

    def work() -> None:
        source = iter(items)
        try:
            for item in source:
                put((True, item))
                if closed.is_set():
                    return
            put((False, None))
        except BaseException as error:  # noqa: BLE001 - raised again in the reading thread
            put((False, error))
        finally:
            if hasattr(source, "close"):
                source.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            more, item = ready.get()
            if isinstance(item, BaseException):
                raise item
            if not more:
                return
            yield item  # type: ignore[misc]
    finally:
        closed.set()
        thread.join()
