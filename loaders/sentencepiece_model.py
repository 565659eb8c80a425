"""A SentencePiece tokenizer.model, for folders without tokenizer.json (sentencepiece_model.proto).

Read with the package's own protobuf classes; what Llama's tokenizers use is supported: BPE with byte fallback on text
as it is. Anything that would change the text first is refused by name.
"""

from pathlib import Path

from gguf import TokenType

from .errors import SourceError
from .files import mapped
from .tokenizer_json import Piece


def read_sentencepiece(path: Path, added: dict[int, tuple[str, bool]]) -> tuple[list[Piece], list[float], bool]:
    """(pieces, scores, whether a text begins with a space). `added` is {id: (content, is control)} from beside it."""
    model = _parsed(path)
    _refuse_what_is_not_supported(model)
    pieces = [Piece(piece.piece, TokenType(piece.type)) for piece in model.pieces]
    scores = [piece.score for piece in model.pieces]
    for number, (content, is_control) in sorted(added.items()):
        if number < len(model.pieces):
            continue  # named again; the model knows its kind
        if number != len(pieces):
            raise SourceError(f"added token {content[:40]!r} has id {number}, expected {len(pieces)}")
        pieces.append(Piece(content, TokenType.CONTROL if is_control else TokenType.USER_DEFINED))
        scores.append(0.0)
    return pieces, scores, model.normalizer_spec.add_dummy_prefix


def _parsed(path: Path):
    from google.protobuf.message import DecodeError
    from sentencepiece.sentencepiece_model_pb2 import ModelProto

    model = ModelProto()
    try:
        model.ParseFromString(bytes(mapped(path)))
    except DecodeError:
        raise SourceError(f"{path.name} is not a SentencePiece model") from None
    if not model.pieces:
        raise SourceError(f"{path.name} has no pieces")
    return model


def _refuse_what_is_not_supported(model) -> None:
    trainer, normalizer = model.trainer_spec, model.normalizer_spec
    kind = trainer.ModelType.Name(trainer.model_type)
    problems = {
        f"sentencepiece model {kind}": kind != "BPE",
        f'sentencepiece normalization "{normalizer.name}"': bool(normalizer.precompiled_charsmap),
        "sentencepiece remove_extra_whitespaces": normalizer.remove_extra_whitespaces,
        "sentencepiece without escape_whitespaces": not normalizer.escape_whitespaces,
        "sentencepiece treat_whitespace_as_suffix": trainer.treat_whitespace_as_suffix,
    }
    for problem, is_there in problems.items():
        if is_there:
            raise SourceError(f"{problem} is not supported")
