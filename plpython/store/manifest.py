"""Checks of llm_store.publish: is the manifest a valid model, which tiles do its tensors need, what is its vocabulary.

A manifest is the loader's description of a model whose tiles it has uploaded:

    {"architecture": {...}, "tokenizer_settings": {...}, "container": "gguf",
     "tensors": [{"name": "token_embd.weight", "type": "Q8_0", "shape": [rows, columns], "tiles": ["hex", ...]}, ...],
     "files": [{"path": "model.gguf", "segments": [{"tile": "hex"}, {"tensor": "token_embd.weight"}, ...]}]}

Everything is checked here except what only the tables can tell: whether the tiles are stored, and their sizes. Each
problem is a ModelError that names the tensor, file or value. No hash is trusted: the server computes all of them.
"""

import json
import re
from dataclasses import dataclass

from ..model import encodings
from ..model.encoder import of_config
from ..model.tokenizer import Tokenizer
from ..server import errors

TILE_BYTES = 1 << 20
CONTAINERS = ("gguf", "huggingface")
MANIFEST_KEYS = ("architecture", "tokenizer_settings", "container", "tensors", "files")
TENSOR_KEYS = ("name", "type", "shape", "tiles")
LONGEST_NAME = 200
LONGEST_PATH = 1000
LONGEST_CHARACTER = 4  # bytes of UTF-8
LONGEST_TOKEN = 2000  # bytes; an entry of a B-tree index holds 2,704
LARGEST_TENSOR = 1 << 40  # bytes
HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Layout:
    """A tensor of a manifest and how it lies in tiles; rows_per_tile 0: a row is longer than a tile."""

    name: str
    type: str
    shape: tuple
    rows_per_tile: int
    bytes: int
    tiles: tuple
    tile_bytes: tuple


def check_manifest(manifest):
    """Check a manifest (JSON) as far as it can be without the tables.

    Returns JSON with the architecture in its canonical form and the tokenizer's settings with the vocabulary's size.
    Raises ModelError: 22023 for what is missing, unknown or out of range, 0A000 for what is not supported.
    """
    manifest = _object("the manifest", json.loads(manifest), MANIFEST_KEYS)
    architecture = of_config(manifest["architecture"])
    if manifest["container"] not in CONTAINERS:
        raise errors.invalid_parameter(
            f"container {_shown(manifest['container'])} is not known", f"known are {', '.join(CONTAINERS)}"
        )
    shapes = {tensor.name: tensor.shape for tensor in _layouts(manifest["tensors"])}
    architecture.check_tensors(shapes)
    _check_files(manifest["files"], shapes)
    settings = _settings(manifest["tokenizer_settings"], architecture.vocabulary_size)
    return json.dumps({"architecture": architecture.to_config(), "tokenizer_settings": settings})


def tensor_layout(tensors):
    """Rows (ordinal, name, type, shape, rows_per_tile, bytes, tiles, tile_bytes) of a manifest's tensors (JSON)."""
    return [
        (
            ordinal,
            tensor.name,
            tensor.type,
            list(tensor.shape),
            tensor.rows_per_tile,
            tensor.bytes,
            [bytes.fromhex(tile) for tile in tensor.tiles],
            list(tensor.tile_bytes),
        )
        for ordinal, tensor in enumerate(_layouts(json.loads(tensors)))
    ]


def vocabulary(definition, settings):
    """The vocabulary of a tokenizer in order of ids, as three lists: bytes, text, kind.

    Raises ModelError for a definition that is not a tokenizer, or settings that do not fit it.
    """
    contents, texts, kinds = [], [], []
    for token_id, content, text, kind in Tokenizer(definition, json.loads(settings)).vocabulary():
        _check_length(token_id, content)
        contents.append(content)
        texts.append(text)
        kinds.append(kind)
    return contents, texts, kinds


def check_vocabulary(tokenizer):
    """Raise ModelError for a token that `vocabulary` would refuse, or that has no row in the model. Fast."""
    for piece, token_id in tokenizer.spellings().items():
        if token_id >= tokenizer.vocabulary_size:
            raise errors.invalid_parameter(
                "the tokenizer does not fit the model's vocabulary",
                f"{piece[:40]!r} is token {token_id}, the model has {tokenizer.vocabulary_size} rows",
            )
        if len(piece) * LONGEST_CHARACTER > LONGEST_TOKEN:
            _check_length(token_id, tokenizer.token_bytes(token_id))


def _check_length(token_id, content):
    if len(content) > LONGEST_TOKEN:
        raise errors.limit_exceeded(
            f"token {token_id} is too long", f"it has {len(content)} bytes, the limit is {LONGEST_TOKEN}"
        )


def _layouts(tensors):
    """The checked tensors of a manifest."""
    layouts, names = [], set()
    for number, tensor in enumerate(_list("tensors", tensors)):
        layout = _layout(_object(f"tensor {number}", tensor, TENSOR_KEYS))
        if layout.name in names:
            raise errors.invalid_parameter(f'tensor "{layout.name}" is there twice')
        names.add(layout.name)
        layouts.append(layout)
    return layouts


def _layout(tensor):
    name, type, shape, tiles = (tensor[key] for key in TENSOR_KEYS)
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME:
        raise errors.invalid_parameter(f"tensor name {_shown(name)} is not 1 to {LONGEST_NAME} characters long")
    if not isinstance(type, str):
        raise errors.invalid_parameter(f'tensor "{name}": the type is {_shown(type)}, expected a name')
    rows, row_bytes = _rows(name, type, shape)
    sizes = tile_sizes(rows, row_bytes)
    if len(_list(f'tensor "{name}": tiles', tiles)) != len(sizes):
        raise errors.invalid_parameter(
            f'tensor "{name}" has the wrong number of tiles',
            f"{type} of shape {shape} takes {rows * row_bytes} bytes in {len(sizes)} tiles, there are {len(tiles)}",
        )
    for tile in tiles:
        _check_hash(f'tensor "{name}"', tile)
    rows_per_tile = TILE_BYTES // row_bytes
    return Layout(name, type, tuple(shape), rows_per_tile, rows * row_bytes, tuple(tiles), sizes)


def _rows(name, type, shape):
    """How many rows a tensor has, and how many bytes each."""
    sizes = _list(f'tensor "{name}": shape', shape)
    if not 1 <= len(sizes) <= 4 or not all(_is_size(size) for size in sizes):
        raise errors.invalid_parameter(f'tensor "{name}": the shape is {_shown(shape)}, expected 1 to 4 sizes above 0')
    rows = 1
    for size in sizes[:-1]:
        rows *= size
    try:
        row_bytes = encodings.row_bytes(type, sizes[-1])
    except errors.ModelError as problem:
        raise errors.ModelError(problem.sqlstate, f'tensor "{name}": {problem.message}', problem.detail) from None
    if rows * row_bytes > LARGEST_TENSOR:
        raise errors.limit_exceeded(f'tensor "{name}" is too large', f"it has {rows * row_bytes} bytes")
    return rows, row_bytes


def tile_sizes(rows, row_bytes):
    """Bytes of each tile: whole rows, as many as fit into 1 MiB. A longer row is tiles of 1 MiB and a shorter one."""
    if row_bytes > TILE_BYTES:
        return _pieces(row_bytes, TILE_BYTES) * rows
    return _pieces(rows * row_bytes, TILE_BYTES // row_bytes * row_bytes)


def _pieces(total, size):
    whole, rest = divmod(total, size)
    return (size,) * whole + ((rest,) if rest else ())


def _check_files(files, tensors):
    paths = set()
    for number, file in enumerate(_list("files", files)):
        _object(f"file {number}", file, ("path", "segments"))
        path = file["path"]
        if not _is_path(path):
            raise errors.invalid_parameter(
                f"file {number}: the path {_shown(path)} is not allowed",
                "A path is relative, has / between its parts, and no part is empty, . or ..",
            )
        if path in paths:
            raise errors.invalid_parameter(f'file "{path}" is there twice')
        paths.add(path)
        for segment in _list(f'file "{path}": segments', file["segments"]):
            _check_segment(path, segment, tensors)


def _check_segment(path, segment, tensors):
    if not isinstance(segment, dict) or set(segment) not in ({"tensor"}, {"tile"}):
        raise errors.invalid_parameter(f'file "{path}": a segment is {{"tensor": name}} or {{"tile": hash}}')
    if "tile" in segment:
        _check_hash(f'file "{path}"', segment["tile"])
    elif not isinstance(segment["tensor"], str) or segment["tensor"] not in tensors:
        raise errors.invalid_parameter(f'file "{path}": the model has no tensor {_shown(segment["tensor"])}')


def _settings(settings, vocabulary_size):
    if not isinstance(settings, dict):
        raise errors.invalid_parameter(f"tokenizer_settings is {_shown(settings)}, expected an object")
    given = settings.get("vocabulary_size")
    if given is not None and given != vocabulary_size:
        raise errors.invalid_parameter(
            "the tokenizer does not fit the model's vocabulary",
            f"its settings say {_shown(given)} tokens, the architecture {vocabulary_size}",
        )
    return settings | {"vocabulary_size": vocabulary_size}


def _object(what, value, keys):
    """`value`, if it is an object with exactly these keys."""
    if not isinstance(value, dict):
        raise errors.invalid_parameter(f"{what} is {_shown(value)}, expected an object")
    for key in keys:
        if key not in value:
            raise errors.invalid_parameter(f'{what} has no "{key}"', f"it needs {', '.join(keys)}")
    for key in value:
        if key not in keys:
            raise errors.invalid_parameter(f'{what} has an unknown key "{key}"', f"known are {', '.join(keys)}")
    return value


def _list(what, value):
    if not isinstance(value, list):
        raise errors.invalid_parameter(f"{what} is {_shown(value)}, expected a list")
    return value


def _check_hash(what, value):
    if not isinstance(value, str) or not HASH.fullmatch(value):
        raise errors.invalid_parameter(f"{what}: {_shown(value)} is not a SHA-256 in lower-case hexadecimal")


def _is_size(value):
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 48


def _is_path(path):
    if not isinstance(path, str) or not 0 < len(path) <= LONGEST_PATH or "\\" in path or not path.isprintable():
        return False
    return all(part not in ("", ".", "..") for part in path.split("/"))


def _shown(value):
    """A value in an error message: short, as JSON."""
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
