"""Called by publishing and uploading: checks manifests, reads vocabularies, stores atoms."""

from ..atoms.atoms import check_weights, code_counts, store_codes, store_edited_codes, store_part, store_tokenizer
from ..store.manifest import check_manifest, tensor_layout, vocabulary

__all__ = [
    "check_manifest",
    "check_weights",
    "code_counts",
    "store_codes",
    "store_edited_codes",
    "store_part",
    "store_tokenizer",
    "tensor_layout",
    "vocabulary",
]
