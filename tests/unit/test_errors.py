"""Every error has a number of its own and a page: what happened, why we stop, what to do."""

from __future__ import annotations

import ast
import pickle
import re
from collections import defaultdict
from pathlib import Path

import pytest

from synth_spark.errors import PlanError, SynthError

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "errors"
HEADINGS = ["What happened", "Why we stop", "What to do"]


def codes() -> dict[str, list[str]]:
    """Each code with the classes that carry it, read from the sources."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "synth_spark").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ClassDef):
                continue
            for line in node.body:
                if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "code":
                    found[ast.literal_eval(line.value)].append(f"{path.stem}.{node.name}")
    return {code: classes for code, classes in found.items() if str(code).startswith("SYN-")}


CODES = codes()


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_code_belongs_to_one_class_and_has_three_digits(code: str) -> None:
    assert re.fullmatch(r"SYN-\d{3}", code)
    assert len(CODES[code]) == 1, CODES[code]


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_code_has_a_page_with_the_three_headings(code: str) -> None:
    page = PAGES / f"{code}.md"
    assert page.exists(), f"docs/errors/{code}.md for {CODES[code]}"
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"^(?:## |\*\*)([A-Z][a-z ]+)", text, re.MULTILINE) == HEADINGS
    assert code in text.splitlines()[0]


def test_every_page_is_of_a_code_that_exists() -> None:
    assert {p.stem for p in PAGES.glob("SYN-*.md")} <= set(CODES)


def test_every_error_class_has_a_code_of_its_own() -> None:
    for path in sorted((ROOT / "synth_spark").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and node.name.endswith("Error"):
                own = {
                    ast.unparse(t)
                    for n in node.body
                    if isinstance(n, ast.Assign)
                    for t in n.targets
                }
                assert "code" in own, f"{path.stem}.{node.name}"


def test_an_error_survives_the_way_from_worker_to_driver_with_its_facts() -> None:
    error = PlanError("No.", hint="yes", n=3)
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == "[SYN-100] No. Try: yes"
    assert again.facts == {"n": 3}
    assert isinstance(again, SynthError)
