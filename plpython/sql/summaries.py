"""Tasks whose answers are written: llm.summarize, llm.translate, and aggregates over many texts.

Texts that do not fit into the model's context together are answered in groups, in one batch; then their answers are the
texts, until one group is left (map and reduce). A text that alone does not fit is cut as llm.chunk cuts.
"""

from ..generate.chat_prompts import Conversation
from ..server import ceilings, errors
from ..session import models
from . import batches, chat, chunking, generation, prompts

GREEDY = (0, *[None] * 7)  # what Request is given after model and max_tokens: no sampling, no stop strings, no options
BETWEEN = "\n\n"  # what stands between the texts of a group
SHARE_OF_CONTEXT = 8  # an answer has at most an eighth, unless a call says max_tokens
SPARE = 16  # tokens for what stands between texts, and for pieces that have more tokens alone
TRANSLATION = 2, 32  # of the text's tokens, times and plus: max_tokens of a translation unless a call says it


def summarize(text, model=None, max_tokens=None):
    """A summary of a text, however long; None for None."""
    return None if text is None else _reduced("summarize", [text], {}, model, max_tokens)


def translate(text, language, model=None, max_tokens=None):
    """A text in another language; None for None."""
    if text is None or language is None:
        return None
    ceilings.require_bytes("text_mb", ceilings.size(language), "argument language")
    if max_tokens is None:
        times, more = TRANSLATION
        ceilings.require_bytes("text_mb", ceilings.size(text), "the text")
        loaded = models.decoder(model)
        max_tokens = times * len(loaded.encode_at_most(text, loaded.architecture.context_length)) + more
        most = ceilings.allowed("max_tokens")
        max_tokens = max_tokens if most is None else min(max_tokens, most)
    writer = Writer(model, max_tokens, "translate", {"language": language})
    return writer.answers([text])[0]


def of_texts(task, texts, question=None):
    """The answer of an aggregate, summarize or ask_agg, with the default model; None for no texts, or all None."""
    texts = [text for text in texts or () if text is not None]
    if not texts or (task == "ask_agg" and question is None):
        return None
    ceilings.require_texts(texts, "the texts")
    return _reduced(task, texts, {} if question is None else {"question": question}, None, None)


def _reduced(task, texts, given, model, max_tokens):
    """The answer to all texts together."""
    writer = Writer(model, max_tokens, task, given)
    while True:
        groups = writer.groups(texts)
        answers = writer.answers(groups)
        if len(answers) == 1:
            return answers[0]
        if len(answers) >= len(texts) and sum(map(len, answers)) >= sum(map(len, texts)):
            raise errors.limit_exceeded(
                "the answers to parts of the texts are not shorter than the texts",
                hint="Give max_tokens a smaller value.",
            )
        texts = answers


class Writer:
    """Writes a task's answers to texts. given: {place: text} of the prompt's places other than the text."""

    def __init__(self, model, max_tokens, task, given):
        loaded = models.decoder(model)
        if max_tokens is None:
            max_tokens = min(generation.default_max_tokens(), loaded.architecture.context_length // SHARE_OF_CONTEXT)
        self._has_turns = chat.prompts(loaded).has_template
        self._request = (chat.ChatRequest if self._has_turns else generation.Request)(model, max_tokens, *GREEDY)
        self._template, self._given = prompts.current(task), given
        self._max_tokens = max_tokens
        self.model = self._request.model

    def answers(self, texts):
        """The answers, in the order of the texts. ModelError for the first that cannot be written."""
        rows = sorted(batches.written(self, enumerate(texts)))
        for _, _, _, _, error in rows:
            if error is not None:
                raise errors.limit_exceeded("the model cannot read a text", error)
        return [answer for _, answer, *_ in rows]

    def groups(self, texts):
        """The texts joined to as few as fit into the context with an answer; those that are too long are cut."""
        room, groups, free = self._room(), [], 0
        for text in texts:
            for piece, tokens in chunking.pieces(text, self.model, room) or [(text, 1)]:
                if tokens + SPARE // 4 > free:
                    groups.append([])
                    free = room + SPARE // 4
                groups[-1].append(piece)
                free -= tokens + SPARE // 4
        return [BETWEEN.join(group) for group in groups]

    def _room(self):
        """How many tokens of texts fit into a prompt."""
        head = len(prompts.turn(self.model, prompts.filled(self._template, {**self._given, "text": ""})))
        context = self.model.architecture.context_length
        room = context - head - self._max_tokens - SPARE
        if room < self._max_tokens or room < SPARE:
            raise errors.limit_exceeded(
                "the model's context has no room for texts and an answer",
                f"it holds {context} tokens, the prompt has {head}, max_tokens is {self._max_tokens}",
                "Give max_tokens a smaller value, or name a model with a longer context.",
            )
        return room

    def continuation(self, text, number=0):
        """The Continuation that answers a text, as a Request has it."""
        prompt = prompts.filled(self._template, {**self._given, "text": text})
        if not self._has_turns:
            return self._request.continuation(prompts.turn(self.model, prompt), number)
        return self._request.answer_to(_conversation(prompt), number)

    def text(self, prompt, answer):
        """What is returned of a continuation's text."""
        return answer.strip()


def _conversation(prompt):
    return Conversation([{"role": "user", "content": prompt}], variables=prompts.AT_ONCE)
