"""Chat templates: a model's Jinja source turns messages into its prompt, in a sandbox with bounds.

A template is a program that somebody else wrote. It has what transformers gives it: the language, its filters, and a
few functions. Every loop, call, filter and operator spends of a budget that grows with the messages, before it makes a
text longer. So a template that loops for ever or grows ends with an error, and a cancellation acts.
"""

import datetime
import functools
import json
import re
import time

import jinja2
import jinja2.ext
import jinja2.sandbox
from jinja2 import nodes
from jinja2.compiler import CodeGenerator

from ..server import errors, interrupts

MOST_SOURCE = 1 << 18  # characters of a template; those in use have 20,000
MOST_NUMBER = 1000  # of a width, an indent, the digits of a rounding
MOST_BITS = 1 << 12  # of a product or a power
MOST_STEPS, STEPS_A_CHARACTER = (
    1 << 20,
    64,
)  # characters made and things done, at most, and for each character of the input
STEPS_A_CALL = 8  # what it takes beside a round of a loop
SECONDS = 10.0
OWN_NAMES = ("messages", "tools", "documents", "add_generation_prompt", "bos_token", "eos_token")
REASONING = ("reasoning_content", "thinking", "reasoning")  # the names of a message's reasoning, the first is given
WIDE = re.compile(r"\d{4,}|\*")  # in a format: a width above 999, or one that is an argument
PERCENT = re.compile(r"%[^a-zA-Z%]*")
BRACES = re.compile(r"\{[^{}]*:[^{}]*(\d{4,}|\{)")
# Filters and methods whose numbers are widths, and filters and methods that write out lists.
PADDING = {"center", "ljust", "rjust", "zfill", "expandtabs", "indent"}
SIZED = {*PADDING, "wordwrap", "batch", "slice", "round", "tojson", "truncate"}
WRITING = {"string", "join", "tojson", "format", "safe", "escape", "e", "forceescape"}


class Refused(jinja2.TemplateError):
    """What a template calls raise_exception for."""


class Exhausted(jinja2.TemplateError):
    """A template went beyond its bounds."""


class Budget:
    """What a rendering may still do: steps, and seconds of a clock."""

    def __init__(self, steps, checkpoint, clock=time.monotonic):
        self._left, self._checkpoint, self._clock = steps, checkpoint, clock
        self._end = clock() + SECONDS

    def spend(self, steps=1):
        """Raises Exhausted when nothing is left."""
        self._checkpoint()
        self._left -= steps
        if self._left < 0:
            raise Exhausted("it does or writes too much")
        if self._clock() > self._end:
            raise Exhausted(f"it takes longer than {SECONDS:g} seconds")

    def measure(self, value):
        """Spend what writing a value takes: a list may hold another one many times."""
        waiting = [value]
        while waiting:
            each = waiting.pop()
            self.spend(1 + _length(each))
            if isinstance(each, dict):
                waiting += [*each.keys(), *each.values()]
            elif _holds(each):
                waiting += each


def _holds(value):
    """Whether a value is a list of others: a list, a tuple, what a dictionary gives."""
    return hasattr(value, "__len__") and not isinstance(value, (str, bytes, jinja2.Undefined))


def _length(value):
    return len(value) if hasattr(value, "__len__") else 1


class Counted:
    """What a loop goes over; every round is a step."""

    def __init__(self, values, budget):
        self._values, self._budget = values, budget

    def __len__(self):
        return len(self._values)

    def __iter__(self):
        for value in self._values:
            self._budget.spend()
            yield value


class _Generator(CodeGenerator):
    """Jinja's own, but a ~ b is an operator that the sandbox is asked about."""

    def visit_Concat(self, node, frame):  # noqa: N802 - Jinja's name
        self.write("environment.join_texts((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")


class _Generation(jinja2.ext.Extension):
    """{% generation %} ... {% endgeneration %}, which marks an assistant's texts for training: nothing here."""

    tags = frozenset(["generation"])

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


class _Namespace(jinja2.utils.Namespace):
    """namespace(...) without names that begin with an underscore."""

    def __init__(*args, **kwargs):  # a template may give `self` a value
        self, args = args[0], args[1:]
        values = dict(*args, **kwargs)
        for name in values:
            _check_name(name)
        jinja2.utils.Namespace.__init__(self, values)

    def __repr__(self):  # what it holds may be larger than it
        return "<Namespace>"

    def __setitem__(self, name, value):
        _check_name(name)
        jinja2.utils.Namespace.__setitem__(self, name, value)


def _check_name(name):
    if isinstance(name, str) and name.startswith("_"):
        raise jinja2.exceptions.SecurityError(f"a namespace cannot have the name {name!r}")


class _Environment(jinja2.sandbox.ImmutableSandboxedEnvironment):
    """transformers' environment for chat templates, where everything spends of `budget`."""

    intercepted_binops = frozenset(["+", "*", "**", "%"])
    code_generator_class = _Generator

    def __init__(self):
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,  # nothing is computed before there is a budget
            extensions=[_Generation, jinja2.ext.loopcontrols],
            finalize=self._measured,
        )
        self.budget = None
        for name in ("lipsum", "cycler", "joiner"):
            self.globals.pop(name)
        self.globals.update(raise_exception=_refuse, strftime_now=_strftime_now, dict=_dict, namespace=_Namespace)
        self.filters["tojson"] = _to_json
        for name in ("urlize", "xmlattr", "pprint", "filesizeformat"):
            self.filters.pop(name)
        self.filters = {name: self._bounded(name, function) for name, function in self.filters.items()}
        self.filters[" counted"] = self._counted
        self.filters[" compared"] = self._compared

    def _parse(self, source, name, filename):
        tree = super()._parse(source, name, filename)
        for loop in tree.find_all(nodes.For):
            loop.iter = _filter(loop.iter, " counted")
        for comparison in tree.find_all(nodes.Compare):
            for side in (comparison, *comparison.ops):
                side.expr = _filter(side.expr, " compared")
        return tree

    def concat(self, parts):
        """The text of what a block, a macro or a set wrote."""
        parts = list(parts)
        self.budget.spend(sum(map(len, parts)))
        return "".join(parts)

    def join_texts(self, parts):
        """a ~ b"""
        return self.concat([str(self._measured(part)) for part in parts])

    def call_binop(self, context, operator, left, right):
        """a + b, a * b, a ** b, a % b"""
        self.budget.spend(1 + _OPERATORS[operator](left, right))
        if operator == "%" and isinstance(left, str):
            self.budget.measure(right)
        return super().call_binop(context, operator, left, right)

    def call(self, context, called, /, *args, **kwargs):
        """Every call of a template: a function, a macro, a method of a text."""
        self.budget.spend(STEPS_A_CALL)
        if isinstance(called, jinja2.runtime.LoopContext):  # a recursive loop
            args = tuple(self._counted(values) for values in args)
        method = getattr(called, "__wrapped__", called)  # the sandbox wraps str.format
        owner, name = getattr(method, "__self__", None), getattr(method, "__name__", "")
        if isinstance(owner, (str, bytes)):
            self._before(name, owner, *((args[0], owner) if name == "join" and args else args), *kwargs.values())
        return self._after(super().call(context, called, *args, **kwargs))

    def _bounded(self, name, function):
        passes = getattr(function, "jinja_pass_arg", None) is not None

        @functools.wraps(function)
        def bounded(*args, **kwargs):
            if name == "join":
                args = (*args[:passes], list(_each(args[passes], self.budget)), *args[passes + 1 :])
            self._before(name, *args[passes:], *kwargs.values())
            return self._after(function(*args, **kwargs))

        return bounded

    def _before(self, name, value=None, *given):
        """Spend what a filter or method is going to make."""
        if name in SIZED and any(isinstance(n, (int, float)) and abs(n) > MOST_NUMBER for n in given):
            raise Exhausted(f"{name} is given a number above {MOST_NUMBER}")
        if name in ("format", "format_map"):
            _check_format(value)
        if name in WRITING:
            for each in (value, *given):
                self.budget.measure(each)
        self.budget.spend(1 + _length(value) + _growth(name, value, given))

    def _after(self, result):
        self.budget.spend(_length(result))
        return result

    def _counted(self, values):
        return Counted(values, self.budget) if hasattr(values, "__len__") else _each(values, self.budget)

    def _measured(self, value):
        self.budget.measure(value)
        return value

    def _compared(self, value):
        if _holds(value):
            self.budget.measure(value)
        return value


def _each(values, budget):
    for value in values:
        budget.spend()
        yield value


def _filter(node, name):
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


def _growth(name, value, given):
    """How many characters a filter or method adds at most, beside its value."""
    if not given:
        return 0
    if name == "join":
        return _length(value) * max(_length(each) for each in given if not callable(each))
    if name == "replace" and len(given) > 1 and isinstance(value, str) and isinstance(given[0], str):
        return value.count(given[0]) * _length(given[1])
    if name in ("indent", "expandtabs", "tojson", "wordwrap") and isinstance(value, (str, list, dict)):
        lines = value.count("\n") + value.count("\t") + 1 if isinstance(value, str) else _length(value)
        repeated = len(value) if name == "wordwrap" else lines
        return repeated * max(each if isinstance(each, int) else _length(each) for each in given)
    return 0


def _check_format(text):
    if isinstance(text, str) and (BRACES.search(text) or any(map(WIDE.search, PERCENT.findall(text)))):
        raise Exhausted(f"a format has a width above {MOST_NUMBER - 1}")


def _sum(left, right):
    return _length(left) + _length(right)


def _product(left, right):
    for text, times in ((left, right), (right, left)):
        if isinstance(text, (str, bytes, list, tuple)) and isinstance(times, int):
            return _length(text) * max(times, 0)
    return _bits(left) + _bits(right)


def _power(left, right):
    return _bits(left) * max(abs(right), 1) if isinstance(right, int) else 0


def _bits(number):
    """The bits of a whole number, as steps: one beyond MOST_BITS is too long."""
    bits = number.bit_length() if isinstance(number, int) else 0
    return bits if bits <= MOST_BITS else 1 << 62


def _percent(left, right):
    _check_format(left)
    return _length(left)


_OPERATORS = {"+": _sum, "*": _product, "**": _power, "%": _percent}


def _refuse(message):
    raise Refused(message)


def _strftime_now(format):
    if not isinstance(format, str) or len(format) > MOST_NUMBER or WIDE.search(format):
        raise Exhausted("a format of a date is too long")
    return datetime.datetime.now().strftime(format)


def _dict(*args, **kwargs):
    return dict(*args, **kwargs)


def _to_json(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


class ChatTemplate:
    """A compiled template. Raises ModelError XX001 for a source that cannot be read."""

    def __init__(self, source, name="the chat template"):
        if len(source) > MOST_SOURCE:
            raise _unreadable(f"it has {len(source)} characters, allowed are {MOST_SOURCE}")
        self._environment = _Environment()
        try:
            self._template = self._environment.from_string(source)
        except (jinja2.TemplateError, RecursionError, SyntaxError, ValueError, MemoryError) as problem:
            raise _unreadable(str(problem)) from None

    def render(self, messages, tools=None, add_generation_prompt=True, variables=None, checkpoint=None):
        """The text of messages, each an object of JSON. variables: {name: value} of what else the template reads.

        Raises ModelError 22023 where the template refuses the messages or cannot write them, 53400 where it goes beyond
        its bounds.
        """
        given = {
            "messages": [_with_reasoning(message) for message in messages],
            "tools": tools,
            "documents": None,
            "add_generation_prompt": add_generation_prompt,
            **(variables or {}),
        }
        self._environment.budget = Budget(
            MOST_STEPS + STEPS_A_CHARACTER * _characters(given), checkpoint or interrupts.checkpoint
        )
        return self._rendered(given)

    def _rendered(self, given):
        try:
            return self._template.render(given)
        except Refused as refusal:
            raise errors.invalid_parameter("the chat template refuses the messages", str(refusal)) from None
        except (Exhausted, RecursionError, MemoryError, OverflowError) as problem:
            reason = str(problem) or type(problem).__name__
            raise errors.limit_exceeded("the chat template was ended", reason, ENDED_HINT) from None
        except (jinja2.TemplateError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as problem:
            raise errors.invalid_parameter("the chat template cannot write these messages", str(problem)) from None


ENDED_HINT = "The template came with the model. It repeats or lengthens its text more than the messages explain."


def _unreadable(reason):
    return errors.corrupt_data("the model's chat template cannot be read", reason)


def _with_reasoning(message):
    """A message without its nulls, and with its reasoning under the names that templates read."""
    message = {key: value for key, value in message.items() if value is not None}
    reasoning = next((message[name] for name in REASONING if name in message), None)
    return message if reasoning is None else {"thinking": reasoning, **message, "reasoning_content": reasoning}


def _characters(value):
    """How much there is to write, of a value of JSON."""
    waiting, total = [value], 0
    while waiting:
        each = waiting.pop()
        total += 1 + (len(each) if isinstance(each, str) else 0)
        if isinstance(each, dict):
            waiting += [*each.keys(), *each.values()]
        elif isinstance(each, (list, tuple)):
            waiting += each
    return total


@functools.lru_cache(maxsize=8)
def compiled(source):
    """The ChatTemplate of a source; the latest are kept."""
    return ChatTemplate(source)
