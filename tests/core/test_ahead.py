"""What threads prepare arrives as if it had not been prepared."""

import itertools
import threading

import pytest

from tasks.core.ahead import ahead, mapped


def test_items_arrive_once_and_in_order():
    assert list(ahead(range(1000), 3)) == list(range(1000))


def test_an_error_arrives_after_the_items_before_it():
    def items():
        yield from range(5)
        raise ValueError("the sixth")

    received = []
    with pytest.raises(ValueError, match="the sixth"):
        for item in ahead(items(), 2):
            received.append(item)
    assert received == [0, 1, 2, 3, 4]


def test_no_more_is_prepared_than_was_asked_for():
    made = []
    items = ahead((made.append(k) or k for k in itertools.count()), 2)
    assert [next(items) for _ in range(10)] == list(range(10))
    items.close()
    assert len(made) <= 10 + 2 + 2  # two ready, one waiting, one in progress


def test_closing_ends_the_thread_and_closes_the_source_in_it():
    closed_by = []

    def endless():
        try:
            yield from itertools.count()
        finally:
            closed_by.append(threading.current_thread())

    before = threading.active_count()
    items = ahead(endless(), 2)
    next(items)
    items.close()
    assert threading.active_count() == before
    assert len(closed_by) == 1 and closed_by[0] is not threading.current_thread()


def test_results_of_several_threads_arrive_in_the_order_of_their_items():
    done = [threading.Event() for _ in range(30)]

    def work(k):
        if k % 2 == 0:
            assert done[k + 1].wait(60)  # the next item is done first
        done[k].set()
        return -k

    assert list(mapped(work, range(30), 2)) == [-k for k in range(30)]


def test_an_error_of_a_thread_arrives_at_its_item():
    received = []
    with pytest.raises(ZeroDivisionError):
        for result in mapped(lambda k: 1 / (5 - k), itertools.count(), 2):
            received.append(result)
    assert len(received) == 5


def test_threads_begin_few_items_before_they_are_read_and_end_with_the_generator():
    begun, before = [], threading.active_count()
    results = mapped(begun.append, itertools.count(), 2)
    next(results)
    results.close()
    assert threading.active_count() == before
    assert len(begun) <= 1 + 2 * 2
