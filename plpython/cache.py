"""What the SQL functions of the packed weights call: llm.pack, llm.evict, llm.collect and others."""

from contextlib import suppress
from datetime import UTC, datetime

from . import engines, errors, session_models


def pack(name=None):
    """Pack what is not packed of a model, so that no later call has to. -> bytes of its packed weights.

    llm.pack runs with its owner's rights, whoever calls it: it reads weights and gives none away.
    """
    weights, name = session_models.stored_weights(name)
    return engines.modules().shared_weights.pack(weights.tensors(), name)


def evict(name=None):
    """Unlink the files of a model, None: all files of all databases. Sessions that use them go on. -> bytes."""
    shared = engines.modules().shared_weights
    if name is None:
        return shared.files().remove()
    weights, _ = session_models.stored_weights(name)
    return shared.files().remove({part.file.name for part in shared.parts(weights.tensors())})


def forget(tensors):
    """Unlink the files with tensors, by their hashes, that the database has no more. -> bytes; 0 without numba."""
    try:
        files = engines.modules().shared_weights.files()
    except errors.ModelError:
        return 0
    gone = set(tensors or ())
    return files.remove({entry.name for entry, tensor, *_ in _packed(files) if tensor in gone})


def packed_tensors():
    """Rows (tensor hash, layout, bytes, built, last used) of the files of all databases; none without numba."""
    try:
        files = engines.modules().shared_weights.files()
    except errors.ModelError:
        return
    for entry, *tensor in _packed(files):
        yield *tensor, _time(entry.built), _time(entry.last_used)


def warm_up():
    """Compile all code of the compiled engine, unless that is done; which engine then computes."""
    engines.compile_all()
    return engines.description()


def _packed(files):
    """(Entry, SHA-256, layout, bytes) of each tensor in each file."""
    for entry in files.entries():
        with suppress(FileNotFoundError):  # evicted since
            for tensor in engines.modules().tensor_groups.tensors_in(entry.path):
                yield entry, *tensor


def _time(seconds):
    return datetime.fromtimestamp(seconds, UTC).isoformat()
