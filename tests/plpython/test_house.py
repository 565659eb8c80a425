"""What holds for the checkout as a whole: the plan and its scripts, and who may import whom in plpython/."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

from tools.render import WINGS, read_wings

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
PROGRAMS = ("plpython", "loaders", "tools", "bench", "tidy")
PLPYTHON = CHECKOUT / "plpython"
MODULES = sorted(module.path for wing in read_wings(PLPYTHON) for module in wing.modules)


def script(folder: str, change: str) -> str:
    return (CHECKOUT / folder / f"{change}.sql").read_text(encoding="utf-8")


def tree(module: str) -> ast.Module:
    return ast.parse((PLPYTHON / f"{module}.py").read_text(encoding="utf-8"))


def imports(module: str) -> tuple[set[str], set[str]]:
    """What a module of plpython/ imports: other modules of it, by their paths, and packages."""
    inside, outside = set(), set()
    for node in ast.walk(tree(module)):
        match node:
            case ast.Import(names=names):
                outside |= {name.name.partition(".")[0] for name in names}
            case ast.ImportFrom(level=0, module=name):
                outside.add(name.partition(".")[0])
            case ast.ImportFrom(level=level, module=name, names=names):
                target = Path(*module.split("/")[:-level], *(name.split(".") if name else ()))
                is_module = (PLPYTHON / target).with_suffix(".py").is_file()
                inside |= {target.as_posix()} if is_module else {(target / n.name).as_posix() for n in names}
    return inside, outside


def wing(module: str) -> str:
    return module.partition("/")[0]


def test_every_line_of_the_plan_can_be_read_and_carries_a_sentence():
    lines = (CHECKOUT / "sqitch.plan").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line and line[0] not in "%@#" and not PLAN_LINE.fullmatch(line)] == []
    assert [line[1] for line in PLAN if not line[5].endswith(".")] == []


def test_every_change_of_the_plan_stands_in_a_section_with_a_title_of_its_own():
    lines = (CHECKOUT / "sqitch.plan").read_text(encoding="utf-8").splitlines()
    titles = [line for line in lines if line.startswith("#")]
    assert all(line.startswith("# --- ") for line in titles) and len(set(titles)) == len(titles) > 5
    assert lines.index(titles[0]) < min(n for n, line in enumerate(lines) if PLAN_LINE.fullmatch(line))


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_has_its_scripts_and_its_test_under_one_name(change: str):
    assert change.startswith(tuple(f"{kind}_" for kind in KINDS))
    missing = [
        folder
        for folder in ("deploy", "revert", "verify", "tests/pgtap")
        if not (change.startswith("python_runtime_") and folder == "tests/pgtap")  # one test for all modules
        and not (CHECKOUT / folder / f"{change}.sql").is_file()
    ]
    assert missing == []


def test_every_script_is_ascii_which_a_database_in_any_encoding_can_read():
    """PostgreSQL converts a script before it runs any of it: else the check of the encoding is never reached."""
    paths = [path for folder in ("deploy", "revert", "verify") for path in (CHECKOUT / folder).glob("*.sql")]
    assert [path.name for path in [*paths, CHECKOUT / "sqitch.plan"] if not path.read_bytes().isascii()] == []


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


def test_only_the_wing_server_touches_plpy():
    def names(module: str) -> set[str]:
        nodes = list(ast.walk(tree(module)))
        imported = {n.name for node in nodes if isinstance(node, ast.ImportFrom) for n in node.names}
        attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        return imported | attributes | {node.id for node in nodes if isinstance(node, ast.Name)}

    touching = [module for module in MODULES if names(module) & {"plpy", "spi"}]
    assert "server/spi" in touching and {wing(module) for module in touching} == {"server"}


@pytest.mark.parametrize("module", MODULES)
def test_a_wing_imports_only_from_itself_and_from_the_wings_below_it(module: str):
    below = WINGS[: WINGS.index(wing(module)) + 1]
    assert [name for name in imports(module)[0] if wing(name) not in below] == []


@pytest.mark.parametrize("module", [module for module in MODULES if wing(module) != "session"])
def test_modules_are_imported_by_statements(module: str):
    """But those of the wings that are opened by name: `sql` for SQL, and the compiled engine when it is chosen."""
    calls = [n for n in ast.walk(tree(module)) if isinstance(n, ast.Call) and "import_module" in ast.unparse(n.func)]
    assert [ast.unparse(n) for n in calls if ".sql." not in ast.unparse(n)] == []


@pytest.mark.parametrize("module", MODULES)
def test_only_simd_and_what_chooses_the_engine_import_numba(module: str):
    assert wing(module) == "simd" or module == "session/engines" or not imports(module)[1] & {"numba", "llvmlite"}


@pytest.mark.parametrize("change", CHANGES)
def test_sql_calls_modules_of_the_wing_sql_alone(change: str):
    modules = {path.stem for path in (PLPYTHON / "sql").glob("*.py")}
    called = set(
        re.findall(r"\bllm\.(\w+)\.\w+\(", "" if change.startswith("python_runtime_") else script("deploy", change))
    )
    assert called <= modules


@pytest.mark.parametrize("module", MODULES)
def test_a_function_has_eight_parameters_at_most(module: str):
    def count(arguments: ast.arguments) -> int:
        return len([a for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs) if a.arg != "self"])

    functions = [node for node in ast.walk(tree(module)) if isinstance(node, ast.FunctionDef | ast.Lambda)]
    assert [ast.unparse(f.args) for f in functions if count(f.args) > 8] == []


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
    assert floors["reference/operators"] < floors["reference/decoder"]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_the_server_has(module: str):
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = {re.match(r"\w+", requirement)[0] for requirement in project["dependency-groups"]["server"]}
    brought_along = {"llvmlite"}  # by numba
    inside, outside = imports(module)
    assert inside - set(MODULES) == set()
    assert outside - packages - brought_along - sys.stdlib_module_names == set()


def test_loaders_use_only_the_pure_modules():
    pure = {"server.errors", "store.manifest", "atoms.sql_literals"} | {
        f"model.{name}" for name in ("decoder", "encoder", "encodings", "finite", "mixes", "rope_rows", "tokenizer")
    }
    for path in (CHECKOUT / "loaders").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("plpython"):
                module = node.module.removeprefix("plpython.")
                assert module in pure or {f"{module}.{name.name}" for name in node.names} <= pure, path


def test_every_zip_that_may_end_early_says_why_beside_it():
    """Ruff's B905 demands `strict`; where it is False, a list is cut short on purpose, for a reason that is written."""
    bare = []
    for path in sorted(path for folder in PROGRAMS for path in (CHECKOUT / folder).rglob("*.py")):
        lines = path.read_text(encoding="utf-8").splitlines()
        for call in (node for node in ast.walk(ast.parse("\n".join(lines))) if _may_end_early(node)):
            if not any("# " in line for line in lines[call.lineno - 1 : call.end_lineno]):
                bare.append(f"{path.relative_to(CHECKOUT)}:{call.lineno}")
    assert bare == []


def _may_end_early(node: ast.AST) -> bool:
    """zip(…) without strict=True, or map(…) over several: both end with the shortest."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
        return False
    if node.func.id == "map":
        return len(node.args) > 2
    strict = [keyword.value for keyword in node.keywords if keyword.arg == "strict"]
    return node.func.id == "zip" and not (strict and isinstance(strict[0], ast.Constant) and strict[0].value is True)
