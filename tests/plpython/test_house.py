"""What holds for the checkout as a whole: the plan and its scripts, and who may import whom in plpython/."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
PLAN_LINE = re.compile(r"(\w+)(?: \[([^\]]*)\])? (\d{4}-\S+) ([^#]*) # (.+)")
PLAN = [
    found
    for line in (CHECKOUT / "sqitch.plan").read_text(encoding="utf-8").splitlines()
    if (found := PLAN_LINE.fullmatch(line))
]
CHANGES = [line[1] for line in PLAN]
KINDS = [
    "database",
    "extension",
    "role",
    "schema",
    "domain",
    "type",
    "table",
    "view",
    "function",
    "procedure",
    "trigger",
    "python_runtime",
]
MODULES = sorted(path.stem for path in (CHECKOUT / "plpython").glob("*.py") if path.stem != "__init__")


def script(folder: str, change: str) -> str:
    return (CHECKOUT / folder / f"{change}.sql").read_text(encoding="utf-8")


def imports(module: str) -> tuple[set[str], set[str]]:
    """What a module of plpython/ imports: other modules of it, and packages."""
    inside, outside = set(), set()
    for node in ast.walk(ast.parse((CHECKOUT / "plpython" / f"{module}.py").read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                outside |= {name.name.partition(".")[0] for name in names}
            case ast.ImportFrom(level=0, module=name):
                outside.add(name.partition(".")[0])
            case ast.ImportFrom(level=1, module=None, names=names):
                inside |= {name.name for name in names}
            case ast.ImportFrom(level=1, module=name):
                inside.add(name)
    return inside, outside


def test_every_line_of_the_plan_can_be_read_and_carries_a_sentence():
    lines = (CHECKOUT / "sqitch.plan").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line and line[0] not in "%@#" and not PLAN_LINE.fullmatch(line)] == []
    assert [line[1] for line in PLAN if not line[5].endswith(".")] == []


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_has_its_scripts_and_its_test_under_one_name(change: str):
    assert change.startswith(tuple(f"{kind}_" for kind in KINDS))
    missing = [
        folder
        for folder in ("deploy", "revert", "verify", "tests/pgtap")
        if not (CHECKOUT / folder / f"{change}.sql").is_file()
    ]
    assert missing == []


def test_no_script_stands_outside_the_plan():
    folders = ("deploy", "revert", "verify")
    scripts = {path.stem for folder in folders for path in (CHECKOUT / folder).glob("*.sql")}
    assert scripts - set(CHANGES) == set()


@pytest.mark.parametrize("line", PLAN, ids=CHANGES)
def test_the_header_of_a_deploy_script_says_what_the_plan_says(line: re.Match):
    head = script("deploy", line[1]).splitlines()[:2]
    assert head[0] == f"-- Deploy hartonomous:{line[1]} to pg"
    if line[2]:
        assert head[1] == f"-- requires: {', '.join(line[2].split())}"


@pytest.mark.parametrize("folder", ["deploy", "revert"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_script_that_changes_the_database_is_one_transaction_that_does_not_wait_long(folder: str, change: str):
    text = script(folder, change)
    creates_nothing = change == "database_requirements"
    assert creates_nothing or re.search(r"^BEGIN;\nSET LOCAL lock_timeout = '5s';$", text, re.MULTILINE)
    assert text.endswith("\nCOMMIT;\n")


@pytest.mark.parametrize("change", CHANGES)
def test_a_function_that_runs_with_its_owners_rights_says_why(change: str):
    text = script("deploy", change)
    assert len(re.findall(r"^SECURITY DEFINER", text, re.MULTILINE)) == len(
        re.findall("^-- SECURITY DEFINER: ", text, re.M)
    )


def test_only_the_database_room_touches_plpy():
    def names(module: str) -> set[str]:
        tree = ast.parse((CHECKOUT / "plpython" / f"{module}.py").read_text(encoding="utf-8"))
        return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}

    assert [module for module in MODULES if "plpy" in names(module)] in ([], ["database"])


def test_modules_import_one_another_without_a_circle():
    floors: dict[str, int] = {}

    def floor(module: str, above: tuple[str, ...]) -> int:
        assert module not in above, f"{' -> '.join(above)} -> {module}"
        if module not in floors:
            below = imports(module)[0] & set(MODULES)
            floors[module] = 1 + max((floor(name, (*above, module)) for name in below), default=0)
        return floors[module]

    for module in MODULES:
        floor(module, ())
    assert floors["ops"] < floors["numpy_engine"]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_the_server_has(module: str):
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = {re.match(r"\w+", requirement)[0] for requirement in project["dependency-groups"]["server"]}
    brought_along = {"llvmlite"}  # by numba
    inside, outside = imports(module)
    assert inside - set(MODULES) == set()
    assert outside - packages - brought_along - sys.stdlib_module_names == set()


def test_loaders_use_only_the_pure_rooms():
    pure = {"errors", "quant", "architecture", "encoder_architecture", "tokenizer", "ingestion"}
    for path in (CHECKOUT / "loaders").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "plpython":
                assert {name.name for name in node.names} <= pure, path
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("plpython."):
                assert node.module.removeprefix("plpython.") in pure, path
