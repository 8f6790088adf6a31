"""The tree keeps its shape: no circles, no private names of other folders, no file that is too long."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

SRC = Path(__file__).parents[1] / "src"
FILES = {".".join(path.relative_to(SRC).with_suffix("").parts): path for path in sorted(SRC.rglob("*.py"))}
MODULES = {name.removesuffix(".__init__"): path for name, path in FILES.items()}
MOST_LINES = 400


def imports(path: Path, inside_functions: bool) -> set[tuple[str, str]]:
    """(module, name) of each import of the package; those under TYPE_CHECKING count."""
    found, left = set(), [ast.parse(path.read_text(encoding="utf-8"))]
    while left:
        node = left.pop()
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports name the whole module"
            found |= {(node.module or "", alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {(alias.name, "") for alias in node.names}
        if inside_functions or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            left += ast.iter_child_nodes(node)
    return {(module, name) for module, name in found if module.split(".")[0] == "vitruve"}


def folder(module: str) -> str:
    return ".".join(module.split(".")[:2])


def test_no_file_imports_private_names_of_another_folder():
    for module, path in MODULES.items():
        for source, name in imports(path, inside_functions=True):
            private = any(part.startswith("_") and not part.endswith("__") for part in [*source.split("."), name])
            assert not private or folder(source) == folder(module), f"{module} imports {name} from {source}"


def test_there_are_no_circles():
    graph = {}
    for module, path in MODULES.items():
        sources = imports(path, inside_functions=False)
        graph[module] = {f"{source}.{name}" if f"{source}.{name}" in MODULES else source for source, name in sources}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as circle:
        raise AssertionError(" -> ".join(reversed(circle.args[1]))) from None


def test_no_file_is_too_long():
    lines = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in MODULES.items()}
    assert {module: count for module, count in lines.items() if count > MOST_LINES} == {}


def test_no_public_name_is_that_of_a_module_beside_it():
    # Whoever imports such a module by its path puts it in the place of the name that loads on first use.
    for name, path in FILES.items():
        if name.endswith(".__init__"):
            package = name.removesuffix(".__init__")
            public = next(
                (
                    ast.literal_eval(node.value)
                    for node in ast.parse(path.read_text(encoding="utf-8")).body
                    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
                ),
                [],
            )
            assert not [one for one in public if f"{package}.{one}" in MODULES], package
