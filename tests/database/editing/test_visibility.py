"""Who sees an edit, and when: the transaction at once, others at COMMIT, nobody after ROLLBACK."""

import json
import threading
from pathlib import Path

import numpy as np
import psycopg
import pytest

from loaders.reader import read_model
from loaders.upload.upload import upload
from plpython.model import encodings
from tests.database.editing.reading import PROMPT, hashes, next_token, tensor
from tests.database.models import call


def test_one_edited_row_of_the_output_head_changes_the_next_token_as_by_hand_in_its_own_transaction_only(
    loader, user, forked
):
    """A logit is a row of the head times the hidden state. A row that is twice the winner's has twice its logit."""
    winner, logit = next_token(loader, forked)
    other = 77
    assert winner != other
    assert logit > 0
    row = 2 * tensor(loader, forked, "output.weight")[winner]
    with loader.transaction(force_rollback=True):
        assert call(loader, "SELECT llm.set_row(%s, 'output.weight', %s, %s)", forked, other, row.tobytes()) == 0
        assert next_token(loader, forked) == (other, pytest.approx(2 * logit, rel=1e-6))
        assert next_token(user, forked) == (winner, logit)
    assert next_token(loader, forked) == (winner, logit)


def test_an_edit_is_seen_by_others_when_it_is_committed(loader, user, forked):
    winner, _ = next_token(user, forked)
    row = 2 * tensor(loader, forked, "output.weight")[winner]
    loader.execute("SELECT llm.set_row(%s, 'output.weight', 77, %s)", (forked, row.tobytes()))
    assert next_token(user, forked)[0] == 77
    assert next_token(user, "stories")[0] == winner


def test_the_whole_text_changes_inside_the_transaction_and_comes_back_after_it(loader, forked):
    generate = "SELECT llm.generate(%s, %s, max_tokens => 12)"
    before = call(loader, generate, PROMPT, forked)
    with loader.transaction(force_rollback=True):
        loader.execute("SELECT llm.scale_tensor(%s, 'blk.3.ffn_down.weight', -1.5)", (forked,))
        assert call(loader, generate, PROMPT, forked) != before
    assert call(loader, generate, PROMPT, forked) == before


def test_the_transformer_as_a_query_sees_the_edit_too(loader, forked):
    """Half of the last norm is half of every logit."""
    forward = "SELECT llm.floats(llm.forward(llm.tokenize(%s, %s), %s))"
    before = np.array(call(loader, forward, PROMPT, forked, forked))
    with loader.transaction(force_rollback=True):
        loader.execute("SELECT llm.scale_tensor(%s, 'output_norm.weight', 0.5)", (forked,))
        assert call(loader, forward, PROMPT, forked, forked) == pytest.approx(0.5 * before, rel=1e-5)
    assert call(loader, forward, PROMPT, forked, forked) == before.tolist()


def test_two_edits_of_one_model_wait_for_each_other_and_both_stay(loader, connect_as, superuser, forked):
    role = call(loader, "SELECT current_user::text")
    row = np.full(64, 0.5, np.float32).tobytes()
    with psycopg.connect(superuser.info.dsn, autocommit=True) as second:
        second.execute(f"SET SESSION AUTHORIZATION {role}")
        edit = "SELECT llm.set_row(%s, 'output.weight', %s, %s)"
        with loader.transaction():
            loader.execute(edit, (forked, 1, row))
            other = threading.Thread(target=second.execute, args=(edit, (forked, 2, row)))
            other.start()
            other.join(1.0)
            assert other.is_alive()
        other.join(60)
    head = tensor(loader, forked, "output.weight")
    assert (head[1:3] == 0.5).all()


def test_an_edited_model_exports_as_a_file_with_the_edit_in_it(loader, forked, tmp_path: Path):
    from loaders.export.export import export, plan_export

    loader.execute("SELECT llm.scale_tensor(%s, 'output.weight', 2)", (forked,))
    for format, name in ((None, "same.gguf"), ("gguf", "new.gguf")):
        export(loader, plan_export(loader, forked, tmp_path / name, format, replace=False))
        again = read_model(tmp_path / name)
        head = next(t for t in again.tensors if t.name == "output.weight")
        assert np.array_equal(
            encodings.decode(head.type, head.data, head.shape), tensor(loader, forked, "output.weight")
        )
        upload(loader, again, f"{forked}-back", replace=True)
        assert hashes(loader, f"{forked}-back") == hashes(loader, forked)
        loader.execute("SELECT llm.drop_model(%s)", (f"{forked}-back",))


def test_the_counts_of_atoms_stay_true(superuser, loader, forked):
    loader.execute("SELECT llm.scale_tensor(%s, 'output.weight', 2)", (forked,))
    assert superuser.execute("SELECT * FROM llm_atoms.recount()").fetchall() == []
    assert json.dumps(call(loader, "SELECT details FROM llm.history(%s) OFFSET 1", forked))
