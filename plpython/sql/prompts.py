"""The prompts of tasks: templates with named places, which a DBA sees in llm.prompts and replaces with llm.set_prompt.

A template is text with places in braces, such as {text}; {{ and }} are braces. What stands in a place is data: its
braces and control tokens stay text.
"""

import functools
import string

from ..generate import chat_prompts
from ..server import arguments, database, errors
from . import chat, generation

TASKS = {  # the places that a task's template has
    "matches": ("text", "condition"),
    "rate": ("text", "criterion"),
    "classify": ("text", "labels"),
    "summarize": ("text",),
    "translate": ("text", "language"),
    "ask_agg": ("text", "question"),
}
MOST_CHARACTERS = 100_000  # of a template
AT_ONCE = {"enable_thinking": False}  # a variable of templates: the answer comes without reasoning before it
PLACES_HINT = "A place is a name in braces, such as {text}; two braces, {{ or }}, are one that is text."

CURRENT_PROMPT = database.Query(
    "SELECT p.template FROM llm.prompts AS p WHERE p.task = $1 ORDER BY p.version DESC LIMIT 1", "text"
)
FIRST_PROMPT = database.Query("SELECT p.template FROM llm.prompts AS p WHERE p.task = $1 AND p.version = 0", "text")
ADD_PROMPT = database.Query(
    "INSERT INTO llm_store.prompt AS p (task, version, template) "
    "SELECT $1, coalesce(max(o.version), 0) + 1, $2 FROM llm_store.prompt AS o WHERE o.task = $1 RETURNING p.version",
    *("text", "text"),
)


def set_prompt(task, template=None):
    """Make a template the prompt of a task; None goes back to the first one. Returns the version that it now is."""
    if task not in TASKS:
        raise errors.invalid_parameter(
            "the task is not known", f"task is {arguments.shown(task)}, allowed are {', '.join(TASKS)}"
        )
    if template is None:
        template = FIRST_PROMPT.one(task)["template"]
    check(task, template)
    return ADD_PROMPT.one(task, template)["version"]


def current(task):
    """The template of a task that counts now."""
    template = CURRENT_PROMPT.one(task)["template"]
    check(task, template)
    return template


def check(task, template):
    """ModelError 22023 unless a template has each place of its task and no other."""
    if len(template) > MOST_CHARACTERS:
        raise arguments.described(
            "template", f"{len(template)} characters", f"a text of {MOST_CHARACTERS} characters at most"
        )
    places, wanted = {place for _, place in parts(template)} - {None}, set(TASKS[task])
    for problem, names in (("lacks", wanted - places), ("has the unknown place", places - wanted)):
        if names:
            raise errors.invalid_parameter(
                f"the template of {task} {problem} {{{min(names)[: arguments.MOST_SHOWN]}}}",
                f"its places are {', '.join(f'{{{place}}}' for place in TASKS[task])}",
                PLACES_HINT,
            )


@functools.lru_cache(maxsize=64)
def parts(template):
    """((text, the place behind it or None), ...). ModelError 22023 for braces that are neither places nor doubled."""
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError as problem:
        raise errors.invalid_parameter(
            "the template has a brace that belongs to no place", str(problem), PLACES_HINT
        ) from None
    return tuple((text, _place(*rest)) for text, *rest in parsed)


def _place(name, form, conversion):
    """A place with what is written behind its name, which makes it an unknown one."""
    if name is None:
        return None
    return name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")


def filled(template, values):
    """A template with {place: text} in its places."""
    return "".join(text + ("" if place is None else values[place]) for text, place in parts(template))


def turn(model, text):
    """Token ids of a prompt: a turn of the user by the model's chat template, or the text alone where it has none."""
    if not chat.prompts(model).has_template:
        return generation.prompt_tokens(model, text.rstrip())
    messages = [{"role": "user", "content": text}]
    return chat.tokens_of(model, chat_prompts.Conversation(messages, variables=AT_ONCE))


def answer(model, text):
    """Token ids of an answer behind a prompt: where the model has no chat template, a space stands between them."""
    if chat.prompts(model).has_template:
        return list(model.encode(text, add_special=False))
    before, both = (list(model.encode(given, add_special=False)) for given in ("Answer:", f"Answer: {text}"))
    if both[: len(before)] == before:
        return both[len(before) :]
    return list(model.encode(f" {text}", add_special=False))
