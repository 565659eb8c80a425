"""KV caches kept for the next prompt."""

from hypothesis import given
from hypothesis import strategies as st

from plpython.generate.prefix_cache import SHORTEST, PrefixCache, common_prefix, unique_bytes
from tests.plpython.toy_engine import PAGE_BYTES, ToyCache

PLENTY = 1 << 40
TEXT = list(range(200))


def computed(tokens):
    cache = ToyCache()
    cache.extend(list(tokens))
    return cache


def keeping(*texts, memory=PLENTY, key="mine"):
    kept = PrefixCache()
    for text in texts:
        kept.keep(key, text, computed(text), memory)
    return kept


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)))
def test_the_common_prefix_is_the_longest(one, other):
    n = common_prefix(one, other)
    assert one[:n] == other[:n]
    assert n == min(len(one), len(other)) or one[n] != other[n]


def test_a_prompt_gets_the_longest_beginning_that_is_kept():
    kept = keeping(TEXT[:50] + [9] * 20, TEXT[:150] + [9] * 20, TEXT[:20])
    assert kept.fork("mine", TEXT).tokens == TEXT[:150]


def test_the_last_token_of_a_prompt_is_left_to_compute():
    assert keeping(TEXT).fork("mine", TEXT).tokens == TEXT[:-1]


def test_nobody_gets_what_was_computed_for_another():
    kept = keeping(TEXT, key=("model", "alice"))
    assert kept.fork(("model", "bob"), TEXT) is None
    assert kept.fork(("other model", "alice"), TEXT) is None
    assert kept.fork(("model", "alice"), TEXT) is not None


def test_a_short_beginning_is_computed_again():
    kept = keeping(TEXT)
    assert kept.fork("mine", [*TEXT[: SHORTEST - 1], 250, 250]) is None
    assert kept.fork("mine", [*TEXT[:SHORTEST], 250, 250]).tokens == TEXT[:SHORTEST]


def test_a_text_that_goes_on_takes_the_place_of_its_beginning():
    kept = keeping(TEXT[:70], TEXT)
    assert kept.bytes == unique_bytes([computed(TEXT)])
    kept.keep("mine", TEXT[:70], computed(TEXT[:70]), PLENTY)
    assert kept.bytes == unique_bytes([computed(TEXT)])


def test_those_used_least_recently_go_first():
    texts = [[n] * 60 for n in range(3)]
    kept = keeping(*texts)
    assert kept.fork("mine", texts[0]) is not None
    kept.keep("mine", [3] * 60, computed([3] * 60), 3 * PAGE_BYTES)
    assert [kept.fork("mine", [n] * 60) is not None for n in range(4)] == [True, False, True, True]


def test_shared_pages_count_once():
    one = computed(TEXT[:128])
    other = one.fork(128)
    other.extend([1])
    assert unique_bytes([one, other]) == 3 * PAGE_BYTES


def test_nothing_is_kept_without_memory_and_nothing_after_clear():
    assert keeping(TEXT, memory=0).bytes == 0
    kept = keeping(TEXT)
    kept.clear()
    assert kept.fork("mine", TEXT) is None
