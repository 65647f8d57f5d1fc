"""Threads that prepare items before they are read, so that decoding, generating and encoding overlap."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")
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


def mapped(work: Callable[[T], U], items: Iterable[T], num_threads: int) -> Generator[U]:
    """`work(item)` of every item, in order, by `num_threads` threads; an error is raised at its item's place.

    At most twice as many items as threads are in progress or ready. Closing the generator waits for those that have
    begun.
    """
    waiting: deque[Future[U]] = deque()
    with ThreadPoolExecutor(num_threads) as pool:
        try:
            for item in items:
                if len(waiting) == 2 * num_threads:
                    yield waiting.popleft().result()
                waiting.append(pool.submit(work, item))
            while waiting:
                yield waiting.popleft().result()
        finally:
            for one in waiting:
                one.cancel()
