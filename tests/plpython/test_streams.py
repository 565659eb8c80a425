"""Rows that are computed as they are fetched: what is left unfinished is closed, and tells so."""

import json

from plpython.server import streams


class Source:
    """Numbered rows, which know how many were computed and whether they were closed."""

    def __init__(self):
        self.computed, self.is_closed = 0, False

    def rows(self):
        try:
            while True:
                self.computed += 1
                yield (self.computed,)
        finally:
            self.is_closed = True


def opened(count):
    sources = [Source() for _ in range(count)]
    return sources, [streams.Stream(source.rows(), 1) for source in sources]


def test_a_row_is_computed_when_it_is_fetched():
    (source,), (stream,) = opened(1)
    assert source.computed == 1
    assert [next(stream), next(stream)] == [(1, None), (2, None)]
    assert source.computed == 2


def test_of_too_many_the_one_that_was_not_fetched_from_for_longest_is_closed_and_says_so(plpy):
    sources, kept = opened(streams.MOST_OPEN)
    next(kept[0])
    opened_later = opened(1)
    assert [source.is_closed for source in sources[:3]] == [False, True, False]
    assert not opened_later[0][0].is_closed
    assert next(kept[0]) == (2, None)
    row, failure = next(kept[1])
    assert row is None and json.loads(failure)[0] == "53400"


def test_a_stream_that_is_at_work_is_not_closed_by_what_it_calls():
    def rows():
        yield (1,)
        yield (len(opened(streams.MOST_OPEN)[1]),)

    stream = streams.Stream(rows(), 1)
    assert [next(stream), next(stream)] == [(1, None), (streams.MOST_OPEN, None)]


def test_what_computes_a_stream_goes_with_it():
    (source,), kept = opened(1)
    kept.clear()
    assert source.is_closed


def test_each_row_is_sent_before_the_next_is_computed(monkeypatch):
    events = []
    monkeypatch.setattr(streams.server_variables, "send_written", lambda: events.append("sent"))

    def rows():
        for n in range(3):
            events.append(n)
            yield n

    assert list(streams.sent(rows())) == [0, 1, 2]
    assert events == [0, "sent", 1, "sent", 2, "sent"]
