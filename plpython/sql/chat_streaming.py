"""An answer as rows: each piece of its text as soon as it is certain. Reasoning and calls of tools are left out."""

from ..generate.answer_stream import certain_text
from ..model.tokenizer import StreamDecoder
from . import streaming
from .chat import PROMPT_END, ChatRequest


class StreamedRequest(ChatRequest):
    """A ChatRequest whose answer comes in pieces."""

    def spoken(self, conversation, continuation, pieces):
        """The pieces of the answer's text, of the pieces of the whole; joined they are what llm.chat returns."""
        end = continuation.history[: continuation.prompt_tokens][-PROMPT_END:]
        prompt = self.model.tokenizer.decode(end, keep_control=True)
        everything = told = ""
        for whole, raw in self._written(continuation, pieces):
            everything = whole
            text = self._storable(certain_text(raw, prompt, bool(conversation.tools)))
            if len(text) > len(told) and text.startswith(told):
                yield text[len(told) :]
                told = text
        text = self.answer(conversation, continuation, everything).text
        if len(text) > len(told) and text.startswith(told):
            yield text[len(told) :]

    def _written(self, continuation, pieces):
        """(all pieces so far, the same with control tokens): only the first is certain where a stop string may come."""
        decoder, whole, raw, read = StreamDecoder(self.model.tokenizer, True, keep_control=True), "", "", 0
        for piece in pieces:
            whole += piece
            raw += "".join(map(decoder.push, continuation.tokens[read:]))
            read = len(continuation.tokens)
            yield whole, whole if self._stop else raw

    def _storable(self, text):
        return self._prompts.without_control(text).replace("\0", "\ufffd")


def chat(messages, model, tools, *given):
    """Rows (seq from 1, piece, token_id, logprob, finish_reason) of the text that llm.chat gives."""
    if messages is None:
        return []
    request = StreamedRequest(model, *given)
    conversation = request.conversation(messages, tools)
    continuation = request.answer_to(conversation)
    return streaming.rows(
        request, continuation, through=lambda pieces: request.spoken(conversation, continuation, pieces)
    )
