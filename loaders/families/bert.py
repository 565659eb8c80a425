"""BERT: an encoder. The pooler and the heads of its training are no part of what makes an embedding."""

from gguf.constants import MODEL_ARCH

from .base import EncoderFamily

FAMILY = EncoderFamily(
    name="bert",
    gguf_name="bert",
    model_type="bert",
    tensor_names=MODEL_ARCH.BERT,
    prefix="bert.",
    unused=("pooler.", "cls.", "classifier.", "embeddings.position_ids"),
)
