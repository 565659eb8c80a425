"""Packed weights as SQL functions call them: llm.pack, llm.evict, llm.collect and others."""

from contextlib import suppress
from datetime import UTC, datetime

from ..server import errors
from ..session import engines, models


def pack(name=None):
    """Pack the tensors of a model that are not packed yet, so that no later call has to. -> bytes when packed."""
    return engines.modules().shared_weights.pack_model(*models.identity(name))


def pack_model(hash, name):
    """The same for a model by its hash, which only roles that see the model know; `name` is for messages.

    llm_store.pack_model runs with its owner's rights: it reads weights that its caller may not read, and returns none.
    """
    return engines.modules().shared_weights.pack(models.weights_of(hash).tensors(), name)


def evict(name=None):
    """Unlink a model's files; None: all files of all databases. Sessions that use them can continue. -> bytes."""
    shared = engines.modules().shared_weights
    if name is None:
        return shared.files().remove()
    tensors = models.weights_of(models.identity(name)[0]).tensors()
    return shared.files().remove({part.file.name for part in shared.parts(tensors)})


def forget(tensors):
    """Unlink files with tensors, given by hash, that the database no longer has. -> bytes; 0 without numba."""
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


def warm_up(measure):
    """Compile the compiled engine, if that is not done yet. Returns which engine computes then.

    measure: measure the prefetch distances again even if they are known.
    """
    if measure and engines.is_ready():
        engines.measure_distances()
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
