"""The error that carries an SQLSTATE."""

import pytest

from plpython.server import errors


@pytest.mark.parametrize(
    ("raised", "sqlstate"),
    [
        (errors.invalid_parameter, "22023"),
        (errors.undefined_object, "42704"),
        (errors.limit_exceeded, "53400"),
        (errors.not_supported, "0A000"),
        (errors.corrupt_data, "XX001"),
    ],
)
def test_each_kind_has_postgresqls_sqlstate_for_it(raised, sqlstate):
    error = raised("a message", "a detail", "a hint")
    assert (error.sqlstate, error.message, error.detail, error.hint) == (sqlstate, "a message", "a detail", "a hint")


def test_the_text_of_an_error_shows_the_detail_too():
    assert str(errors.corrupt_data("bytes are missing", "12 of 34")) == "bytes are missing (12 of 34)"
    assert str(errors.corrupt_data("bytes are missing")) == "bytes are missing"
