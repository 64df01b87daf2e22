"""The one look that all metrics share: bins learned from train, and what a part looks like in them.

Learned once from a bounded sample of train (`Take`); everything that is then counted is counted
over all rows. A `Seen` computes each thing that several metrics need (tokens, gaps, traits) only
once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns._text_mine import MISSING, Templates, mine
from synth_spark.core.batch import Coded, Records, Values
from synth_spark.core.masks import readable
from synth_spark.core.schema import Schema
from synth_spark.metrics import _items as items
from synth_spark.metrics._items import Item
from synth_spark.metrics._traits import traits
from synth_spark.metrics.base import ColumnsDifferError, FormsDifferError

Form = Literal["coded", "time", "number"]
GAP = "gap to the previous event"  # the item of the seconds since the subject's previous event
MAX_PAIRS, MAX_TRIPLES, MAX_TRAIT_PAIRS = 1_000, 220, 400
NO_TEMPLATE = "(no template)"
STATES = 30  # labels that a transition table keeps
RARE, RARE_SHARE = 1_000, 0.02  # labels of a column that may be rare; larger shares are not


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """How every dataset of one evaluation is binned."""

    schema: Schema
    forms: dict[str, Form]
    items: tuple[Item, ...]  # of every row
    states: tuple[Item, ...]  # category columns that change within a subject, with more labels
    traits: tuple[Item, ...]  # one number a subject each
    pairs: NDArray[np.int64]  # (p, 2) positions in `items`
    triples: NDArray[np.int64]  # (t, 3)
    trait_pairs: NDArray[np.int64]  # (q, 2) positions in `traits`
    possible: tuple[int, int, int]  # how many pairs, triples and pairs of traits there are
    templates: Mapping[str, Templates] = field(default_factory=dict)  # of each text column
    rare: tuple[Item, ...] = ()  # the labels of each category or text column that may be rare

    @property
    def changing(self) -> tuple[Item, ...]:
        """Items that may differ between two events of a subject and are not bound to the date."""
        fixed = {c.name for c in self.schema.columns if c.per == "subject"}
        return tuple(i for i in self.items if i.column not in fixed and i.kind != "date")

    def choices(self) -> dict[str, str]:
        """Sentences for the report: what was left out for size."""
        said = {}
        tables = (self.pairs, self.triples, self.trait_pairs)
        words = ("pairs of columns", "triples of columns", "pairs of subject traits")
        for word, table, possible in zip(words, tables, self.possible, strict=True):
            part = "all" if len(table) == possible else f"a fixed choice of {len(table):,} of"
            said[word] = f"{part} {possible:,}"
        return said


def form_of(values: Values) -> Form:
    """Which of the three physical forms a column has."""
    if isinstance(values, Coded):
        return "coded"
    return "time" if np.asarray(values).dtype.kind == "M" else "number"


def seconds(values: Values) -> NDArray[np.float64]:
    """Times as seconds since 1970 on the local clock, NaN where missing; shape (rows,)."""
    times = np.asarray(values).astype("datetime64[us]")
    return np.where(np.isnat(times), np.nan, times.astype(np.int64) / 1e6)


# ---- learning the view --------------------------------------------------------------------------


def learn_view(schema: Schema, sample: Records, seed: int) -> View:
    """The view of an evaluation, from a sample of whole train subjects."""
    columns = [c for c in schema.columns if c.kind != "identifier"]
    templates = {
        c.name: mine(_coded(sample.columns[c.name]).texts().tolist(), sample.owners, items.MIN_HELD)
        for c in schema.of_kind("text")
    }
    sample = by_template(templates, sample)
    forms = {c.name: form_of(sample.columns[c.name]) for c in columns}
    found: list[Item] = []
    for column in columns:
        found += _items_of(column.name, column.partner, forms[column.name], sample)
    if schema.shape == "events":
        gap = gaps_s(schema, sample)
        found.append(items.number_item(GAP, schema.time, gap, "gap"))
    fixed = {c.name for c in columns if c.per == "subject"}
    states = tuple(
        items.category_item(n, n, _coded(sample.columns[n]), sample.owners, STATES)
        for n, form in forms.items()
        if form == "coded" and n not in fixed
    )
    summary = traits(schema, forms, sample, gaps_s(schema, sample))
    kept = tuple(items.number_item(n, "", v, "number") for n, v in summary.items())
    groups = [list(_groups(found, 2)), list(_groups(found, 3))]
    twos = list(combinations(range(len(kept)), 2))
    return View(
        schema=schema,
        forms=forms,
        items=tuple(found),
        states=states if schema.shape == "events" else (),
        traits=kept,
        pairs=items.chosen(groups[0], MAX_PAIRS, seed),
        triples=items.chosen(groups[1], MAX_TRIPLES, seed),
        trait_pairs=items.chosen(twos, MAX_TRAIT_PAIRS, seed),
        possible=(len(groups[0]), len(groups[1]), len(twos)),
        templates=templates,
        rare=_rare_items(schema, forms, sample),
    )


def by_template(templates: Mapping[str, Templates], records: Records) -> Records:
    """The records with the template of each line in the line's place."""
    columns = dict(records.columns)
    for name, known in templates.items():
        lines = columns.get(name)
        if isinstance(lines, Coded):
            columns[name] = _templates_of(known, lines)
    return Records(columns, records.offsets)


def _templates_of(known: Templates, lines: Coded) -> Coded:
    """Templates as labels; each different line is read once."""
    named = [readable(known.text(i)) for i in range(len(known))]
    labels = tuple(n if named.count(n) == 1 else f"{n} ({i})" for i, n in enumerate(named))
    found = [known.parse(line)[0] for line in lines.labels]
    table = np.array([*(len(labels) if i < 0 else i for i in found), -1], np.int32)
    return Coded(table[lines.codes], (*labels, NO_TEMPLATE))


def _items_of(name: str, partner: str, form: Form, sample: Records) -> list[Item]:
    values = sample.columns[name]
    if form == "coded":
        return [items.category_item(name, name, _coded(values), sample.owners)]
    if form == "time":
        at = seconds(values)
        found = [items.number_item(f"{name}: date", name, at, "date")]
        if np.any(at[np.isfinite(at)] % 86_400):  # a column of plain dates has no hours
            found.append(items.hour_item(f"{name}: hour", name))
        return [*found, items.weekday_item(f"{name}: weekday", name)]
    x = np.asarray(values, dtype=np.float64)
    found = [items.number_item(name, name, x, "number")]
    if partner and partner in sample.columns:
        lon = np.asarray(sample.columns[partner], dtype=np.float64)
        found.append(items.place_item(f"{name}, {partner}: cell", name, partner, x, lon))
    return found


def _rare_items(schema: Schema, forms: Mapping[str, Form], sample: Records) -> tuple[Item, ...]:
    """The labels below `RARE_SHARE` of the rows, of the subjects for a column of theirs."""
    found = []
    for name in (n for n, form in forms.items() if form == "coded"):
        rows, owners = counted_rows(schema, name, sample)
        below = RARE_SHARE * max(len(rows), 1)
        item = items.category_item(
            name, name, _coded(sample.columns[name])[rows], owners, RARE, below
        )
        found += [item] if item.labels else []
    return tuple(found)


def counted_rows(
    schema: Schema, name: str, records: Records
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows that a rate is taken over, and their owners: each event, or one of each subject.

    Returns:
        Positions of rows and of their subjects, both of shape (counted,).
    """
    if schema.shape == "events" and any(
        c.name == name and c.per == "subject" for c in schema.columns
    ):
        owners = np.flatnonzero(records.lengths > 0)
        return records.offsets[owners], owners
    return np.arange(records.rows), records.owners


def _coded(values: Values) -> Coded:
    if not isinstance(values, Coded):
        raise TypeError("a category column is Coded")
    return values


def _groups(found: list[Item], size: int) -> list[tuple[int, ...]]:
    """Positions of items to count together; a cell never with the coordinates it is made of."""
    bound = {(i.name, c) for i in found if i.kind == "place" for c in (i.column, i.partner)}

    def allowed(group: tuple[int, ...]) -> bool:
        return not any((found[a].name, found[b].name) in bound for a in group for b in group)

    return [g for g in combinations(range(len(found)), size) if allowed(g)]


def gaps_s(schema: Schema, records: Records) -> NDArray[np.float64]:
    """Seconds since the subject's previous event, NaN for its first; shape (rows,)."""
    if not schema.time:
        return np.full(records.rows, np.nan)
    at = seconds(records.columns[schema.time])
    gap = np.diff(at, prepend=np.nan)
    starts = records.offsets[:-1]
    gap[starts[starts < records.rows]] = np.nan
    return gap


# ---- looking at a part --------------------------------------------------------------------------


class Seen:
    """One part of whole subjects through a view."""

    def __init__(self, view: View, records: Records) -> None:
        check(view, records)
        self.view, self.raw = view, records
        self.records = by_template(view.templates, records) if view.templates else records

    def lines(self, name: str) -> NDArray[np.int64]:
        """Template of each line of a text column; -1 for none, `MISSING` for no line; (rows,)."""
        codes = _coded(self.records.columns[name]).codes.astype(np.int64)
        return np.where(
            codes < 0, MISSING, np.where(codes == len(self.view.templates[name]), -1, codes)
        )

    @cached_property
    def gaps_s(self) -> NDArray[np.float64]:
        """Seconds since the subject's previous event, NaN for its first; shape (rows,)."""
        return gaps_s(self.view.schema, self.records)

    @cached_property
    def follows(self) -> NDArray[np.int64]:
        """Rows that have a previous event of the same subject; shape (rows - subjects,)."""
        inner = np.ones(self.records.rows, dtype=bool)
        starts = self.records.offsets[:-1]
        inner[starts[starts < self.records.rows]] = False
        return np.flatnonzero(inner)

    @cached_property
    def at_s(self) -> NDArray[np.float64]:
        """The events' times in seconds since 1970; shape (rows,)."""
        return seconds(self.records.columns[self.view.schema.time])

    @cached_property
    def tokens(self) -> tuple[NDArray[np.int64], ...]:
        """The bins of `View.items`, each of shape (rows,)."""
        return tuple(self.bins(item) for item in self.view.items)

    @cached_property
    def trait_tokens(self) -> tuple[NDArray[np.int64], ...]:
        """The bins of `View.traits`, each of shape (subjects,)."""
        found = traits(self.view.schema, self.view.forms, self.records, self.gaps_s)
        return tuple(item.tokens(found[item.name]) for item in self.view.traits)

    def bins(self, item: Item) -> NDArray[np.int64]:
        """The bins of one item, shape (rows,)."""
        if item.kind == "gap":
            return item.tokens(self.gaps_s)
        values = self.records.columns[item.column]
        if self.view.forms[item.column] == "time":
            return item.tokens(seconds(values))
        partner = self.records.columns[item.partner] if item.partner else None
        return item.tokens(values, partner)


def check(view: View, records: Records) -> None:
    """Refuse records that cannot be scored against the view.

    Raises:
        ColumnsDifferError: A column of train is not there (SYN-401).
        FormsDifferError: A column has another type than in train (SYN-402).
    """
    lacking = sorted(set(view.forms) - set(records.columns))
    if lacking:
        names = ", ".join(map(repr, lacking))
        hint = "write the synthetic table with the columns of the train table"
        raise ColumnsDifferError(
            f"The table lacks {names}, which the train table has.", hint=hint, columns=lacking
        )
    for name, form in view.forms.items():
        found = form_of(records.columns[name])
        if found != form:
            words = {"coded": "text", "time": "a time", "number": "a number"}
            raise FormsDifferError(
                f"Column {name!r} is {words[found]} here and {words[form]} in the train table.",
                hint="cast it to the train table's type before scoring",
                column=name,
                found=found,
                expected=form,
            )
