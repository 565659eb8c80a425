"""Which engine computes, and why."""

import json

import pytest

from plpython.engine import calibration
from plpython.kernels import prefetching
from plpython.server import errors
from plpython.session import engines


@pytest.fixture
def setting(plpy, monkeypatch):
    """setting(value) sets llm.engine; a session in which nothing was asked yet."""
    for name, value in {
        "_modules": None,
        "_missing": None,
        "_ready": None,
        "_was_ready": False,
        "_told": False,
    }.items():
        monkeypatch.setattr(engines, name, value)
    rows = [{"value": None}]
    plpy.answers["current_setting"] = lambda name: rows

    def set_to(value):
        rows[0]["value"] = value

    return set_to


MEASURED = dict.fromkeys(prefetching.PRODUCTS, 4096)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty folder for compiled code; the prefetch distances are MEASURED as soon as they are measured."""
    monkeypatch.setattr(engines, "_home", lambda: tmp_path)
    monkeypatch.setattr(calibration, "measure", lambda: MEASURED)
    monkeypatch.setattr(prefetching, "DISTANCES", prefetching.DISTANCES.copy())
    return tmp_path


def without_numba(monkeypatch):
    def imported():
        raise ImportError("No module named 'numba'")

    monkeypatch.setattr(engines, "_imported", imported)


def test_numpy_computes_where_it_is_asked_for(setting):
    setting("numpy")
    assert engines.chosen() == (False, "llm.engine is numpy")
    assert engines.description().startswith("numpy ")


@pytest.mark.parametrize("value", ["Numpy", "fast", " "])
def test_an_unknown_engine_is_an_error_that_names_the_known_ones(setting, value):
    setting(value)
    with pytest.raises(errors.ModelError) as refusal:
        engines.chosen()
    assert refusal.value.sqlstate == "22023"
    assert "auto, compiled, numpy" in refusal.value.message


@pytest.mark.parametrize("value", [None, "", "auto"])
def test_numpy_computes_until_the_code_is_compiled_and_the_client_is_told_once(setting, home, plpy, value):
    setting(value)
    for _ in range(2):
        compiled, reason = engines.chosen()
        assert not compiled
        assert "warm_up" in reason
    assert len(plpy.notices) == 1


def test_the_compiled_engine_computes_once_its_code_is_there(setting, home, monkeypatch):
    from plpython.engine import warm_up

    ran = []
    monkeypatch.setattr(warm_up, "run", lambda: ran.append(True))
    engines.compile_all()
    engines.compile_all()
    assert ran == [True]
    monkeypatch.setattr(engines, "_ready", None)  # another session
    assert engines.chosen() == (True, None)
    assert engines.description().startswith("compiled by numba ")


def test_code_that_is_deleted_under_a_session_computes_no_more_and_is_compiled_in_another(setting, home, monkeypatch):
    from plpython.engine import warm_up

    monkeypatch.setattr(warm_up, "run", lambda: None)
    engines.compile_all()
    assert engines.is_ready()
    (ready,) = home.glob("numba-*/ready")
    content = ready.read_text()
    ready.unlink()
    assert not engines.is_ready()
    with pytest.raises(errors.ModelError, match="deleted while this session used it") as refusal:
        engines.compile_all()
    assert refusal.value.sqlstate == "55000"
    ready.write_text(content)  # another session compiled it
    assert engines.is_ready()


def test_prefetch_distances_are_kept_with_the_code_and_used_in_other_sessions(setting, home, monkeypatch):
    from plpython.engine import warm_up

    monkeypatch.setattr(warm_up, "run", lambda: None)
    engines.compile_all()
    assert set(prefetching.DISTANCES) == {4096}
    for kept, used in ((MEASURED | {"blocks 1": 512}, 512), (MEASURED, 4096)):
        (file,) = home.glob("numba-*/prefetching.json")
        file.write_text(json.dumps(kept))
        monkeypatch.setattr(engines, "_ready", None)  # another session
        assert engines.is_ready()
        assert prefetching.DISTANCES[prefetching.ONE_TOKEN] == used


@pytest.mark.parametrize("damaged", ["", "{", "[]", '{"blocks 1": 512}', None])
def test_a_damaged_file_of_distances_is_told_and_harmless(setting, home, monkeypatch, plpy, damaged):
    from plpython.engine import warm_up

    monkeypatch.setattr(warm_up, "run", lambda: None)
    engines.compile_all()
    (file,) = home.glob("numba-*/prefetching.json")
    file.unlink() if damaged is None else file.write_text(damaged)
    monkeypatch.setattr(engines, "_ready", None)
    assert engines.is_ready() and len(plpy.notices) == 1
    assert set(prefetching.DISTANCES) == {4096}


def test_code_for_another_processor_or_numba_is_compiled_again(setting, home, monkeypatch):
    from plpython.engine import warm_up

    monkeypatch.setattr(warm_up, "run", lambda: None)
    engines.compile_all()
    (ready,) = home.glob("numba-*/ready")
    ready.write_text("numba 0.1, another processor")
    monkeypatch.setattr(engines, "_ready", None)
    assert not engines.is_ready()


def test_a_compilation_that_fails_is_not_taken_for_done(setting, home, monkeypatch):
    from plpython.engine import warm_up

    def fail():
        raise MemoryError

    monkeypatch.setattr(warm_up, "run", fail)
    with pytest.raises(MemoryError):
        engines.compile_all()
    assert not engines.is_ready()


def test_without_numba_numpy_computes_and_asking_for_the_compiled_engine_is_an_error(setting, home, monkeypatch):
    without_numba(monkeypatch)
    (home / "numba-portable").mkdir()
    (home / "numba-portable" / "ready").write_text("of an earlier installation")
    compiled, reason = engines.chosen()
    assert not compiled
    assert "numba cannot be imported" in reason
    setting("compiled")
    with pytest.raises(errors.ModelError) as refusal:
        engines.chosen()
    assert refusal.value.sqlstate == "0A000"
    assert "numba" in refusal.value.hint
