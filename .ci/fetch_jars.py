"""Fetch the Delta jars that Spark lacks into a folder, once: `python .ci/fetch_jars.py FOLDER`.

Spark's own resolver brings Delta with 30 dependencies; only those that are not already among
Spark's jars are kept. Later sessions name the folder's jars and need no network.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pyspark

DELTA = "io.delta:delta-spark_4.2_2.13:4.4.0"


def artefact(jar: str) -> str:
    """The artefact's name without its version: `antlr4-runtime-4.9.jar` is `antlr4-runtime`."""
    return re.sub(r"-\d[\w.]*(-[\w.]+)?\.jar$", "", jar)


def main(folder: Path) -> int:
    """Resolve, copy what Spark lacks, and mark the folder complete."""
    home = Path(pyspark.__file__).parent
    present = {artefact(jar.name) for jar in (home / "jars").glob("*.jar")}
    with tempfile.TemporaryDirectory() as scratch:
        command = [
            str(home / "bin" / "spark-submit"),
            *("--master", "local[1]", "--packages", DELTA),
            *("--conf", f"spark.jars.ivy={scratch}", "--conf", "spark.ui.enabled=false"),
            *("--class", "org.apache.spark.examples.SparkPi"),
            str(next((home / "examples" / "jars").glob("spark-examples*.jar"), "spark-internal")),
            "1",
        ]
        env = {**os.environ, "SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1"}
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        jars = sorted((Path(scratch) / "jars").glob("*.jar"))
        kept = [jar for jar in jars if artefact(jar.name.split("_", 1)[1]) not in present]
        if not any("delta-spark" in jar.name for jar in kept):
            sys.stderr.write(
                done.stderr[-2000:] + "\nfetch_jars: the Delta jars could not be fetched.\n"
            )
            sys.stderr.write("Try: put them into a folder and set SYNTH_SPARK_JARS to it.\n")
            return 2
        folder.mkdir(parents=True, exist_ok=True)
        for jar in kept:
            shutil.copyfile(jar, folder / jar.name)
    (folder / ".complete").write_text(DELTA + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
