"""What Spark throws reaches the user as one numbered sentence with the real cause."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from synth_spark.errors import EmptyTableError
from synth_spark.spark.failures import (
    TRACE,
    DiskFullError,
    SparkFailedError,
    TaskFailedError,
    explained,
)


def test_an_error_on_a_worker_is_one_sentence_and_a_file(spark, tmp_path: Path) -> None:
    def bad(batches):
        for _ in batches:
            raise ZeroDivisionError("no units")
        yield

    said = r"ZeroDivisionError: no units \(test_failures.py line \d+, in bad\)"
    with pytest.raises(TaskFailedError, match=said) as caught, explained(tmp_path):
        spark.range(3).mapInArrow(bad, "id bigint").collect()
    assert "\n" not in str(caught.value)
    trace = (tmp_path / TRACE).read_text()
    assert 'raise ZeroDivisionError("no units")' in trace
    assert "org.apache.spark" in trace


def test_errors_of_ours_keep_their_number_over_the_wire(spark, tmp_path: Path) -> None:
    def empty(batches):
        for _ in batches:
            raise EmptyTableError("There is nothing.", hint="more")
        yield

    with pytest.raises(EmptyTableError) as caught, explained(tmp_path):
        spark.range(3).mapInArrow(empty, "id bigint").collect()
    assert (str(caught.value), caught.value.hint) == (
        "[SYN-201] There is nothing. Try: more",
        "more",
    )


def test_a_full_scratch_disk_is_told_from_other_errors(spark, tmp_path: Path) -> None:
    def full(batches):
        for _ in batches:
            raise OSError(28, "No space left on device")
        yield

    with pytest.raises(DiskFullError), explained(tmp_path):
        spark.range(3).mapInArrow(full, "id bigint").collect()


def test_what_spark_refuses_is_named_in_one_line(spark, tmp_path: Path) -> None:
    with pytest.raises(SparkFailedError, match="no_such_column") as caught, explained(tmp_path):
        spark.range(3).select("no_such_column").collect()
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


def test_a_bug_of_this_process_keeps_its_trace(tmp_path: Path) -> None:
    with pytest.raises(KeyError), explained(tmp_path):
        {}["a"]
    assert not (tmp_path / TRACE).exists()


def test_a_java_that_died_is_said_to_have_died(tmp_path: Path) -> None:
    with pytest.raises(SparkFailedError, match="has ended"), explained(tmp_path):
        raise ConnectionRefusedError(111, "Connection refused")


SIEVE = """
import subprocess, sys
from synth_spark.spark.session import quiet_start
child = "import sys; sys.stderr.write('WARNING: Using incubator modules: x\\\\nreal trouble\\\\n')"
try:
    with quiet_start():
        subprocess.run([sys.executable, "-c", child], check=True)
        if len(sys.argv) > 1:
            raise RuntimeError("no start")
except RuntimeError:
    sys.stderr.write("and the error after it\\n")
else:
    import time; time.sleep(0.5)
"""


@pytest.mark.parametrize("more", [[], ["fails"]])
def test_only_the_noise_of_a_start_is_kept_from_the_screen(more: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SIEVE, *more], capture_output=True, text=True, check=True
    )
    wanted = ["real trouble", *(["and the error after it"] if more else [])]
    assert re.split("\n", done.stderr.strip()) == wanted
