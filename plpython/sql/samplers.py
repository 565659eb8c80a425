"""Samplers as SQL gives them: some have arguments of their own, each of the others is an option by its name."""

from ..generate import sampling

# The arguments of llm.generate and llm.sample, in their order there.
ARGUMENTS = ("temperature", "top_k", "top_p", "min_p", "repeat_penalty", "seed")
BY_OPTION = tuple(sampler for sampler in sampling.SAMPLERS if sampler.name not in ARGUMENTS)
SAMPLER_OPTIONS = {
    s.name: (s.kind, f"{s.meaning}, {s.smallest} to {s.largest}, default {s.neutral}") for s in BY_OPTION
}
JSON_TYPES = {int: "integer", float: "number"}


def settings(values, options):
    """sampling.Settings of the values of ARGUMENTS and of checked options. ModelError 22023 for one out of range."""
    given = [sampler for sampler in BY_OPTION if sampler.name in options]
    for sampler in given:
        sampler.check(options[sampler.name], f"options.{sampler.name}")
    chosen = {sampler.name: options[sampler.name] for sampler in given}
    return sampling.settings(**dict(zip(ARGUMENTS, values, strict=True)), **chosen)


def rows():
    """The rows of llm.samplers(), in the order of the steps."""
    return [_row(sampler) for sampler in sampling.SAMPLERS]


def _row(s):
    given_as = "argument" if s.name in ARGUMENTS else "option"
    return s.name, given_as, JSON_TYPES[s.kind], s.smallest, s.largest, s.neutral, s.meaning
