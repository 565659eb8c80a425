"""Matrices of cells: folders that are a base with changes. A matrix is a JSON file, {"bases": …, "cells": […]}."""

import base64
import copy
import json
import re
from pathlib import Path

ABSENT = "(absent)"  # as a change: the file, or the key, is not there


def read_matrix(path: Path) -> list[dict]:
    """The cells of a matrix, each with all files of its folder as "files"."""
    matrix = json.loads(path.read_text())
    return [cell | {"files": changed(matrix["bases"][cell["base"]], cell["changes"])} for cell in matrix["cells"]]


def changed(files: dict, changes: dict) -> dict:
    """Files with changes, {file: content or {dotted.key: value}}; a file that is not there is made of them."""
    result = copy.deepcopy(files)
    for file, change in changes.items():
        if change == ABSENT:
            result.pop(file, None)
        elif isinstance(change, dict) and isinstance(result.setdefault(file, {}), dict):
            for key, value in change.items():
                _change(result[file], key.split("."), value)
        else:
            result[file] = change
    return result


def _change(document: dict, keys: list[str], value) -> None:
    first, *rest = keys
    if rest:
        _change(document[first], rest, value)
    elif value == ABSENT:
        document.pop(first, None)
    else:
        document[first] = value


def write_folder(folder: Path, files: dict) -> None:
    """Write the files of a cell: text as it is, {"base64": …} as bytes, anything else as JSON."""
    for name, content in files.items():
        if isinstance(content, str):
            (folder / name).write_text(content, encoding="utf-8")
        elif set(content) == {"base64"}:
            (folder / name).write_bytes(base64.b64decode(content["base64"]))
        else:
            (folder / name).write_text(json.dumps(content))


def assert_named(message: str, change) -> None:
    """The message is one line, and names something of the change, or the tensor that does not fit it."""
    assert "\n" not in message
    assert any(word in message for word in _words(change)) or re.search(r'"[\w.]+\.(weight|bias)"', message), message


def _words(value) -> set[str]:
    """The names and the texts of a change."""
    if isinstance(value, dict):
        return set().union(*(set(key.split(".")) | {key} | _words(inner) for key, inner in value.items()))
    if isinstance(value, list | tuple):
        return set().union(*map(_words, value))
    return {value} if isinstance(value, str) and value not in ("", ABSENT) else set()
