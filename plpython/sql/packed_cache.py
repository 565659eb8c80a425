"""What the SQL functions of the packed weights call: llm.pack, llm.evict, llm.collect and others."""

from contextlib import suppress
from datetime import UTC, datetime

from ..server import errors
from ..session import engines, models


def pack(name=None):
    """Pack what is not packed of a model that the caller sees, so that no later call has to. -> bytes when packed."""
    return engines.modules().shared_weights.pack_model(*models.identity(name))


def pack_model(hash, name):
    """The same of a model by the hash of its content, which only who sees the model knows; `name` is for messages.

    llm_store.pack_model runs with its owner's rights, whoever calls it: it reads weights and gives none away.
    """
    return engines.modules().shared_weights.pack(models.weights_of(hash).tensors(), name)


def evict(name=None):
    """Unlink the files of a model, None: all files of all databases. Sessions that use them go on. -> bytes."""
    shared = engines.modules().shared_weights
    if name is None:
        return shared.files().remove()
    tensors = models.weights_of(models.identity(name)[0]).tensors()
    return shared.files().remove({part.file.name for part in shared.parts(tensors)})


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
