"""A SentencePiece tokenizer.model, for folders without tokenizer.json (sentencepiece_model.proto).

Read with the package's own protobuf classes; what Llama's tokenizers use is supported: BPE with byte fallback on text
as it is. Anything that would change the text first is refused by name, and so is what the library does not load.
"""

import math
from pathlib import Path

from gguf import TokenType

from ..errors import SourceError
from ..source.files import mapped
from .definition import Piece


def read_sentencepiece(path: Path, added: dict[int, tuple[str, bool]]) -> tuple[list[Piece], list[float], bool]:
    """(pieces, scores, whether a text begins with a space). `added` is {id: (content, is control)} from beside it."""
    model = _parsed(path)
    _refuse_what_is_not_supported(model)
    _refuse_what_is_ill(path.name, model)
    pieces = [Piece(piece.piece, TokenType(piece.type)) for piece in model.pieces]
    scores = [piece.score for piece in model.pieces]
    for number, (content, is_control) in sorted(added.items()):
        if number < len(model.pieces):  # named again; the model knows its kind
            _refuse_another_name(number, content, pieces[number].text)
            continue
        if number != len(pieces):
            raise SourceError(f"added token {content[:40]!r} has id {number}, expected {len(pieces)}")
        pieces.append(Piece(content, TokenType.CONTROL if is_control else TokenType.USER_DEFINED))
        scores.append(0.0)
    _refuse_texts_of_two(pieces)
    return pieces, scores, model.normalizer_spec.add_dummy_prefix


def _refuse_another_name(number: int, content: str, text: str) -> None:
    if content != text:
        raise SourceError(f"added token {content[:40]!r} has id {number}, which is {text[:40]!r} in tokenizer.model")


def _refuse_texts_of_two(pieces: list[Piece]) -> None:
    first = {}
    for number, piece in enumerate(pieces):
        if first.setdefault(piece.text, number) != number:
            raise SourceError(
                f"added token {piece.text[:40]!r} has id {number}, in tokenizer.model it is {first[piece.text]}"
            )


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


def _refuse_what_is_ill(name: str, model) -> None:
    """Raise SourceError for a score that is not finite, and for what the library says of pieces that it refuses."""
    from sentencepiece import SentencePieceProcessor

    for number, piece in enumerate(model.pieces):
        if not math.isfinite(piece.score):
            raise SourceError(f"{name}: the score of piece {number}, {piece.piece[:40]!r}, is {piece.score}")
    try:
        SentencePieceProcessor(model_proto=model.SerializeToString())
    except RuntimeError as problem:
        reason = str(problem).partition(": ")[2].partition("\n")[0][:200]
        raise SourceError(f"{name} is refused by sentencepiece: {reason}") from None
