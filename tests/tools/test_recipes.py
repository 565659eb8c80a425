"""CONTRIBUTING.md's recipes: the files that each lists are there, are what such a change touches, and are few.

A recipe is a section with a line "Files:" of paths in backticks; words in capitals in a path are placeholders.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from loaders import families
from tools.render import WINGS, plan_requires

CHECKOUT = Path(__file__).resolve().parents[2]
PLACEHOLDER = re.compile(r"(?<![A-Za-z])[A-Z]{3,}(?![A-Za-z]|\.md)")
MOST_FILES = {  # of a change, without the tests of Python
    "A SQL function": 6,
    "A line of a module": 4,
    "A family": 5,
    "An encoding": 5,
    "A layout": 3,  # by hand
    "A sampler": 5,
}


def recipes() -> dict[str, str]:
    """{title: text} of the sections of CONTRIBUTING.md that are recipes: those about one thing that is added."""
    page = (CHECKOUT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    sections = (section.partition("\n") for section in page.split("\n## ")[1:])
    return {title: text for title, _, text in sections if title.startswith(("A ", "An "))}


def paths(text: str) -> list[str]:
    """What stands in backticks and is a path of the checkout."""
    words = re.findall(r"`([\w./*-]+)`", text)
    return [word for word in words if "/" in word or word.endswith((".md", ".plan"))]


def files(title: str, **values: str) -> set[str]:
    """The files that a recipe lists, its placeholders filled in."""
    return {PLACEHOLDER.sub(lambda found: values[found[0]], path) for path in LISTS[title]}


RECIPES = recipes()
LISTS = {
    title: paths(found[1])
    for title, text in RECIPES.items()
    if (found := re.search(r"\nFiles: (.*?)\n\n", text + "\n", re.S))
}
PLAN = (CHECKOUT / "sqitch.plan").read_text(encoding="utf-8").splitlines()
FUNCTIONS = [change.removeprefix("function_") for change in plan_requires(PLAN) if change.startswith("function_")]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of this checkout without its tests' fixtures, to be changed."""
    hidden = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "fixtures", "images", "bench")
    return Path(shutil.copytree(CHECKOUT, tmp_path / "checkout", ignore=hidden))


def run(checkout: Path, *command: str) -> str:
    """What a program of the copy says; it must succeed, and imports from the copy alone."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def contents(checkout: Path) -> dict[str, bytes]:
    return {path.relative_to(checkout).as_posix(): path.read_bytes() for path in checkout.rglob("*") if path.is_file()}


def touched(checkout: Path, before: dict[str, bytes]) -> set[str]:
    """The files that are not what they were, the new ones included."""
    after = contents(checkout)
    return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}


def test_the_recipes_that_have_a_list_are_among_those_that_are_counted():
    assert LISTS.keys() >= MOST_FILES.keys()


@pytest.mark.parametrize("title", sorted(LISTS.keys() & MOST_FILES))
def test_a_change_touches_few_files(title: str):
    assert 0 < len(set(LISTS[title])) == len(LISTS[title]) <= MOST_FILES[title]


@pytest.mark.parametrize(("title", "path"), [(title, path) for title, text in RECIPES.items() for path in paths(text)])
def test_every_path_of_a_recipe_is_there_for_some_example(title: str, path: str):
    assert list(CHECKOUT.glob(PLACEHOLDER.sub("*", path).rstrip("/"))), f"{title}: {path}"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_has_the_files_of_its_recipe(name: str):
    listed = files("A SQL function", NAME=name)
    assert [path for path in listed if not (CHECKOUT / path).is_file()] == []


@pytest.mark.parametrize("family", families.FAMILIES, ids=lambda family: family.name)
def test_every_family_has_the_files_of_its_recipe_and_is_named_in_each(family: families.Family):
    for path in files("A family", NAME=family.name) - {"README.md", "CHANGELOG.md"}:  # where it has a name of its own
        assert f'"{family.name}"' in (CHECKOUT / path).read_text(encoding="utf-8"), path


def test_a_new_function_is_the_files_of_its_recipe(checkout: Path):
    """All but the reference, which is asked of a server that has the function."""
    before = contents(checkout)
    run(checkout, "tools/new.py", "function", "shout")
    assert touched(checkout, before) == files("A SQL function", NAME="shout") - {"docs/sql-reference.md"}


@pytest.mark.parametrize("wing", WINGS)
def test_a_line_of_a_module_touches_the_files_of_its_recipe(checkout: Path, wing: str):
    module = sorted((checkout / "plpython" / wing).glob("[a-z]*.py"))[0]
    before = contents(checkout)
    module.write_text(module.read_text(encoding="utf-8") + "\n# another line\n", encoding="utf-8")
    run(checkout, "tools/render.py")
    assert touched(checkout, before) == files("A line of a module", WING=wing, MODULE=module.stem)


def test_a_new_module_touches_the_files_of_its_recipe(checkout: Path):
    before = contents(checkout)
    (checkout / "plpython" / "model" / "novelty.py").write_text('"""Something new."""\n', encoding="utf-8")
    run(checkout, "tools/render.py")
    values = {"WING": "model", "MODULE": "novelty"}
    assert touched(checkout, before) == files("A line of a module", **values) | files("A new module", **values)
    assert "- `novelty`: Something new.\n" in (checkout / "docs" / "architecture.md").read_text(encoding="utf-8")


READ_A_CONFIGURATION = """
from loaders import families
from loaders.huggingface.architecture import read_architecture
from loaders.source.fields import Fields
from plpython.model.encoder import of_config

sizes = {"vocab_size": 8, "hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 4}
more = {"max_position_embeddings": 16, "rms_norm_eps": 1e-5, "rope_theta": 100.0, "tie_word_embeddings": True}
config = sizes | more | {"model_type": "trial", "architectures": ["TrialForCausalLM"], "attention_bias": True}
read = read_architecture(Fields("config.json", config))
assert of_config(read.to_config()) == read, "what the server makes of it"
print(families.of_gguf("trial").name, read.family, read.attention_bias, families.of_decoder("trial").to_config(read))
"""


def test_a_new_family_is_its_file_alone(checkout: Path):
    """The loader finds it in the folder, the server takes its name, and it is written back: no other file says so."""
    llama = (checkout / "loaders" / "families" / "llama.py").read_text(encoding="utf-8")
    trial = llama.replace('"llama"', '"trial"').replace("LlamaForCausalLM", "TrialForCausalLM")
    (checkout / "loaders" / "families" / "trial.py").write_text(trial, encoding="utf-8")
    said = run(checkout, "-c", READ_A_CONFIGURATION)
    assert said == "trial trial True {'attention_bias': True}\n"


RENDERED = re.compile(
    r"(deploy|revert|verify)/(python_runtime_\w+|function_runtime_release)\.sql|docs/architecture\.md"
)


def test_a_new_layout_is_the_files_of_its_recipe_and_what_they_render_to(checkout: Path):
    """A copy of Q5_1's, under another name and number: only the files are looked at."""
    before = contents(checkout)
    kernels, encodings = checkout / "plpython" / "kernels", checkout / "plpython" / "model" / "encodings.py"
    (kernels / "layouts" / "trial.py").write_text(
        (kernels / "layouts" / "q5_1.py").read_text().replace('"q5_1", 9', '"trial", 99')
    )
    dispatch = kernels / "dispatch.py"
    dispatch.write_text(dispatch.read_text().replace("bf16,", "bf16, trial,", 1).replace("*(f32,", "*(trial, f32,"))
    encodings.write_text(encodings.read_text().replace('24, "q5_1"', '24, "trial"'))
    run(checkout, "tools/render.py")
    changed = touched(checkout, before)
    assert {path for path in changed if not RENDERED.fullmatch(path)} == files("A layout", NAME="trial")
    run(checkout, "-c", "from plpython.kernels.packing import layout_of; assert layout_of('Q5_1', (16, 32)) == 99")


def test_a_new_encoding_is_the_files_of_its_recipe(checkout: Path):
    before = contents(checkout)
    encodings = checkout / "plpython" / "model" / "encodings.py"
    row = '    Encoding("Q1_0", 41, 128, 18),\n'
    encodings.write_text(encodings.read_text().replace("ENCODINGS = (\n", f"ENCODINGS = (\n{row}"))
    run(checkout, "tools/render.py")
    assert touched(checkout, before) == files("An encoding") - {"docs/kernels.md"}
    run(checkout, "-c", "from plpython.model import encodings; assert encodings.row_bytes('Q1_0', 512) == 72")


A_SAMPLER = '''
def trial(candidates, cut, value):
    """Keep those with at least the score -value."""
    return candidates, cut.shorter(candidates.at_least(-value))


@dataclass(frozen=True)
class Sampler:'''
USE_IT = """
import numpy as np
from plpython.generate import sampling
from plpython.sql import samplers

assert "trial" in samplers.SAMPLER_OPTIONS
settings = samplers.settings([1.0, None, None, None, None, 1], {"trial": 0.5})
logits = np.array([3.0, 2.9, 1.0, 0.0], np.float32)
assert {sampling.next_token(logits, [], settings, position) for position in range(200)} == {0, 1}
"""


def test_a_new_sampler_is_the_files_of_its_recipe(checkout: Path):
    before = contents(checkout)
    sampling = checkout / "plpython" / "generate" / "sampling.py"
    row = '    Sampler("trial", float, 0.0, 9.0, 9.0, "keep what is near the largest", narrow=trial),\n)\nSEED = '
    text = sampling.read_text().replace("\n@dataclass(frozen=True)\nclass Sampler:", A_SAMPLER, 1)
    sampling.write_text(text.replace(")\nSEED = ", row, 1))
    run(checkout, "tools/render.py")
    assert touched(checkout, before) == files("A sampler") - {"loaders/huggingface/config_keys.py"}
    run(checkout, "-c", USE_IT)
