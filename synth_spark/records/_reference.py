"""docs/ref-records.md, made from the families on the shelf."""

from __future__ import annotations

from synth_spark.core.shelf import FAMILIES
from synth_spark.records.base import Field, RecordFamily

_HEAD = """# Records

One file per family in `synth_spark/records/`. A plan maps the columns of a source to the canonical
ones below (`records.columns`, `name` and `source`); a source need not have all of them, and may
have others, given with their `kind`. What a plan leaves out of a column is taken from the field.

- **key**: names the subject, whose owner is protected. Ids are replaced by keyed hashes at ingest.
- **kind**: category, number, time, place (two columns: latitudes name their longitudes), text
  (lines that programs write, as in logs; see `explanation-log-lines.md`), identifier (made anew,
  never learned; a *counterpart* names somebody else and keeps its links; an id within the subject,
  such as a session or a SIM, keeps its events together and is never shared).
- **per subject**: the same in every row of a subject.
- **standard**: the field of 3GPP TS 32.298 (Charging Data Record parameter description) with the
  same meaning, unless another standard is named. Where it differs by record type, each is given.
- A row that breaks a rule goes to quarantine with the rule's sentence; a missing value breaks only
  the rule that it is there. Rules of any table: key and time are there, numbers are finite,
  latitudes and longitudes are on Earth.

`synth-spark detect SOURCE` writes a first plan. It leaves names as they are and takes the family
`table` or `events`; put the family's name and `source` in to have its rules checked.

This page is made from the families: `synth-spark records list --markdown`.
"""


def reference() -> str:
    """The page as Markdown."""
    return "\n".join([_HEAD, *(_section(FAMILIES.get(name)) for name in FAMILIES.names())]).rstrip()


def _section(family: RecordFamily) -> str:
    facts = [f"Shape: {family.shape}."]
    facts += [f"Key: `{family.key}`."] if family.key else []
    facts += [f"Time: `{family.time}`."] if family.time else []
    owner = f"`{family.privacy_unit}`" if family.privacy_unit else "each row for itself"
    facts.append(f"Privacy unit: {owner}.")
    parts = [f"## {family.name}\n", f"{family.about} {' '.join(facts)}\n"]
    if family.fields:
        parts.append("| column | kind | Spark type | unit | standard | what it is |")
        parts.append("| --- | --- | --- | --- | --- | --- |")
        parts += [_row(field) for field in family.fields]
        parts.append("")
    if family.rules:
        parts.append("Rules: " + "; ".join(rule.sentence for rule in family.rules) + ".\n")
    return "\n".join(parts)


def _row(field: Field) -> str:
    kind = field.kind + (", counterpart" if field.counterpart else "")
    kind += f", with `{field.partner}`" if field.partner else ""
    kind += ", per subject" if field.per == "subject" else ""
    cells = (f"`{field.name}`", kind, field.spark_type, field.unit, field.standard, field.about)
    return f"| {' | '.join(cells)} |"
