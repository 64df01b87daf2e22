"""The reference page of the metrics, made from their shelf so that it cannot fall behind.

python -m synth_spark.report.reference > docs/ref-metrics.md
"""

from __future__ import annotations

import inspect
import sys
from importlib import import_module

from synth_spark.core.shelf import METRICS

HEAD = """# Reference: metrics

Made from the files in `synth_spark/metrics/` by `python -m synth_spark.report.reference`; do not
edit. How to read the numbers: `explanation-evaluation.md`.

| metric | what | unit | best | worst | for |
| --- | --- | --- | --- | --- | --- |
"""


def page() -> str:
    """The page as Markdown: one table, then one section a metric."""
    table, sections = [], []
    for name in METRICS.names():
        m = METRICS.get(name)
        shapes = " and ".join(sorted(m.shapes))
        table.append(
            f"| [`{name}`](#{name}) | {m.title} | {m.unit} | {m.best:g} | {m.worst:g} | {shapes} |"
        )
        text = inspect.getdoc(import_module(f"{METRICS.package}.{name}")) or ""
        sections.append(
            f"## {name}\n\n{text}\n\n*Headline:* {inspect.getdoc(m)}\n*Good:* {m.good}\n"
        )
    return HEAD + "\n".join(table) + "\n\n" + "\n".join(sections)


if __name__ == "__main__":
    sys.stdout.write(page())
