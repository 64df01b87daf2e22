"""Who may import whom: the floors of the house, kept by walking the syntax trees."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "synth_spark"
FLOORS = {
    "errors": 0,
    "core": 1,
    **dict.fromkeys(("records", "columns", "config", "privacy"), 2),
    **dict.fromkeys(("generators", "models", "metrics", "attacks", "tasks", "federation"), 3),
    **dict.fromkeys(("pipelines", "spark", "training", "report"), 4),
    **dict.fromkeys(("app", "choosing", "doctor", "places"), 5),
    **dict.fromkeys(("cli", "cli_model", "cli_parts"), 5),
    **dict.fromkeys(("cells", "frames", "known", "table_files"), 5),
    **dict.fromkeys(("refusals", "settling", "several", "telling", "warming"), 5),
}
# pyarrow carries data between the rooms and is light: any room may use it inside functions
HEAVY = {
    "pyspark": {"spark", "choosing", "settling"},
    "delta": {"spark"},
    "torch": {"models", "training", "generators", "privacy", "warming"},
    "horovod": {"training"},
    "pandas": {"spark"},
    "numba": {"generators"},
    "sklearn": {"generators", "metrics", "attacks", "tasks"},
    "pydantic": {"config"},
    "yaml": {"config"},
    "typer": {"cli", "cli_model", "cli_parts"},
    "rich": {"cli", "doctor"},
    "jinja2": {"report"},
    "h3": {"columns", "metrics"},
    "safetensors": {"pipelines", "training", "models"},
}
# Rooms of one floor: a generator trains nets of models/; Spark's ranks run the loop of training/
# and its workers draw by the drawer of pipelines/.
BESIDE = {"generators": {"models"}, "spark": {"training", "pipelines"}}
FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Every module that a file imports, and whether at its top; not those for type hints only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    hints = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in ast.walk(block)
    }
    at_top = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if id(node) in hints:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in at_top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: import by full name"
            yield node.module, id(node) in at_top
            if node.module == "synth_spark":
                yield from ((f"synth_spark.{a.name}", id(node) in at_top) for a in node.names)


def test_every_room_has_a_floor() -> None:
    assert {room_of(p) for p in FILES} - {"__init__"} <= set(FLOORS)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_file_imports_from_lower_floors_and_its_own_room_only(path: Path) -> None:
    room = room_of(path)
    floor = FLOORS.get(room, 0)
    for module, _ in imports(path):
        parts = module.split(".")
        if parts[0] != "synth_spark" or len(parts) < 2 or parts[1] in {room, "__version__"}:
            continue
        other = FLOORS[parts[1]]
        beside = parts[1] in BESIDE.get(room, ()) or (floor == 5 and other == 5)
        assert other < floor or beside, f"{path.name} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_heavy_library_is_imported_in_its_rooms_only(path: Path) -> None:
    room = room_of(path)
    for module, _ in imports(path):
        library = module.split(".")[0]
        allowed = HEAVY.get(library)
        assert allowed is None or room in allowed, f"{path.name} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_below_the_fourth_floor_pyarrow_and_torch_stand_inside_functions(path: Path) -> None:
    room = room_of(path)
    if FLOORS.get(room, 0) >= 4 or room == "models":
        return
    top = {module.split(".")[0] for module, at_top in imports(path) if at_top}
    assert not top & {"pyarrow", "torch"}, path.name


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, synth_spark, synth_spark.config, synth_spark.records.detect;"
        "heavy = {'pyspark', 'torch', 'horovod', 'pandas', 'pyarrow', 'numba'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_only_the_spark_room_touches_the_classic_session() -> None:
    for path in FILES:
        if room_of(path) != "spark":
            text = path.read_text(encoding="utf-8")
            assert ".sparkContext" not in text, path.name
            assert "._jvm" not in text, path.name


def test_nothing_is_unpickled_from_disk() -> None:
    for path in FILES:
        assert "pickle.load(" not in path.read_text(encoding="utf-8"), path.name
