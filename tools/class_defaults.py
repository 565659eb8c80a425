#!/usr/bin/env python3
"""Writes loaders/families/class_defaults.py: what transformers' configuration classes have for an absent key.

    pip install transformers==5.24.0 huggingface_hub gguf==0.19.0 safetensors==0.8.0
    tools/class_defaults.py           write the table
    tools/class_defaults.py --check   write nothing; fail when the table is not what a writing would give

The table has one row for a family and a key that the loader uses, or supports at some values only, if the class has a
default for it. Whether a class takes null is asked of the class.
"""

import argparse
import dataclasses
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))

from transformers import AutoConfig  # noqa: E402 (a script's own folder comes first)

from loaders import families  # noqa: E402
from loaders.huggingface.architecture import DECODER_CONFIG  # noqa: E402
from loaders.huggingface.encoder import ENCODER_CONFIG  # noqa: E402

TABLE = CHECKOUT / "loaders" / "families" / "class_defaults.py"
HEADER = '''"""What the configuration classes of transformers 5.24 have for an absent key.

Written by tools/class_defaults.py. A row: (family, key of config.json, default, whether the class takes null).
"""

ROWS = (
'''
# The base class reads these from config.json; they are no fields of a class.
READ_BY_NAME = (("rope_scaling", None, True), ("layer_types", None, True))
# Sizes that divide one another, as the defaults of a class need not: what follows from a null is then possible too.
SIZES = {"hidden_size": 64, "num_attention_heads": 4}

Row = tuple[str, str, object, bool]


def rows(family: str, model_type: str, known: set[str]) -> list[Row]:
    """The rows of a family, in order of their keys."""
    kind = type(AutoConfig.for_model(model_type))
    found = {field.name: (field.default, takes_null(kind, field.name)) for field in dataclasses.fields(kind)}
    if "rope_parameters" in found:
        found["rope_theta"] = (kind.default_theta, False)
        found |= {name: (default, null) for name, default, null in READ_BY_NAME}
    return [(family, key, *found[key]) for key in sorted(found.keys() & known)]


def takes_null(kind: type, key: str) -> bool:
    try:
        kind(**(SIZES | {key: None}))
    except Exception:  # classes raise errors of many kinds
        return False
    return True


def table() -> str:
    """The whole file."""
    lines = []
    for family in (*families.FAMILIES, *families.ENCODERS):
        keys = ENCODER_CONFIG if isinstance(family, families.EncoderFamily) else DECODER_CONFIG | family.keys
        lines += rows(family.name, family.model_type, {*keys.used, *keys.harmless_at})
    return HEADER + "".join(f"    {quoted(row)},\n" for row in lines) + ")\n"


def quoted(row: Row) -> str:
    return "(" + ", ".join(f'"{value}"' if isinstance(value, str) else repr(value) for value in row) + ")"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the table differs")
    if not parser.parse_args().check:
        TABLE.write_text(table(), encoding="utf-8")
        return 0
    if TABLE.read_text(encoding="utf-8") == table():
        return 0
    print(f"{TABLE.relative_to(CHECKOUT)} is not what transformers has: run tools/class_defaults.py")
    return 1


if __name__ == "__main__":
    sys.exit(main())
