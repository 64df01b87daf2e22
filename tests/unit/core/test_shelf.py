"""A file is the registration."""

from __future__ import annotations

import pytest

from synth_spark.core.shelf import GENERATORS
from synth_spark.errors import UnknownNameError


def test_files_are_listed_and_helpers_are_not() -> None:
    names = GENERATORS.names()
    assert "independent" in names
    assert not [n for n in names if n.startswith("_") or n == "base"]


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="independent") as caught:
        GENERATORS.get("independant")
    assert caught.value.facts["name"] == "independant"
