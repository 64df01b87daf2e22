"""Columns that follow from another one are found, left out and put back."""

from __future__ import annotations

from functools import reduce
from itertools import permutations

import numpy as np
import pytest

from synth_spark.columns import _determined_tables as tables
from synth_spark.columns._determined_search import determined
from synth_spark.columns.determined import Determined, Group, reals
from synth_spark.columns.formula import Formula
from synth_spark.core.batch import Coded, Records
from synth_spark.core.conditions import Clause, Condition, ImpossibleConditionError
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.schema import Column, Schema
from synth_spark.core.wire import dumps, loads

ROWS = 3_000


def flat(kinds: dict[str, str], **columns: object) -> tuple[Schema, Records]:
    made = tuple(Column(name=n, kind=k, per="subject") for n, k in kinds.items())  # type: ignore[arg-type]
    values = {
        name: v if isinstance(v, np.ndarray) and v.dtype.kind in "fM" else Coded.of(list(v))  # type: ignore[call-overload]
        for name, v in columns.items()
    }
    return Schema(family="table", shape="flat", columns=made), Records.flat(values)


def found(schema: Schema, records: Records, parts: int = 1) -> Determined:
    out = learn(determined(schema, 5), Local(records, parts=parts))
    assert isinstance(out, Determined)
    return out


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def test_a_region_and_a_price_follow_from_a_cell_and_come_back_exactly(
    rng: np.random.Generator,
) -> None:
    cell = rng.integers(0, 40, ROWS)
    schema, records = flat(
        {"cell": "category", "region": "category", "price": "number", "noise": "category"},
        cell=[f"c{i:02}" for i in cell],
        region=[f"r{i % 6}" for i in cell],
        price=(cell * 7 % 19) * 1.5,
        noise=[f"n{i}" for i in rng.integers(0, 6, ROWS)],
    )
    out = found(schema, records)
    assert sorted(out.children) == ["price", "region"]
    assert out.hints == {"region", "price"}  # few beside 40 cells: the model draws them too
    assert [c.name for c in out.rest(schema).columns] == ["cell", "region", "price", "noise"]
    left = Records.flat({n: records.columns[n] for n in ("cell", "noise")})
    whole = Determined.from_state(out.state()).complete(left, schema, 1, 0)
    assert (whole.columns["region"].texts() == records.columns["region"].texts()).all()  # type: ignore[union-attr]
    assert np.array_equal(np.asarray(whole.columns["price"]), np.asarray(records.columns["price"]))


def test_of_two_names_for_one_thing_the_first_is_learned(rng: np.random.Generator) -> None:
    plan = rng.integers(0, 8, ROWS)
    schema, records = flat(
        {"code": "category", "name": "category"},
        code=[f"{i}" for i in plan], name=[f"plan {i}" for i in plan],
    )  # fmt: skip
    assert found(schema, records).children == ("name",)


def test_a_chain_is_completed_from_its_finest_column(rng: np.random.Generator) -> None:
    cell = rng.integers(0, 60, ROWS)
    schema, records = flat(
        {"country": "category", "city": "category", "cell": "category"},
        country=[f"k{i % 3}" for i in cell], city=[f"t{i % 12}" for i in cell],
        cell=[f"c{i}" for i in cell],
    )  # fmt: skip
    out = found(schema, records)
    whole = out.complete(Records.flat({"cell": records.columns["cell"]}), schema, 1, 0)
    for name in ("country", "city"):
        assert (whole.columns[name].texts() == records.columns[name].texts()).all()  # type: ignore[union-attr]


def test_an_age_group_follows_by_thresholds_that_are_round(rng: np.random.Generator) -> None:
    age = np.round(rng.uniform(18, 90, ROWS), 3)
    group = np.where(age < 30, "young", np.where(age < 60, "middle", "old"))
    schema, records = flat({"age": "number", "group": "category"}, age=age, group=group.tolist())
    (only,) = found(schema, records).groups
    assert only.how == "range"
    assert only.keys.tolist() == [30.0, 60.0]


def test_a_week_day_and_a_date_follow_from_a_time_by_the_calendar(rng: np.random.Generator) -> None:
    start = np.datetime64("2026-01-05T00:00:00", "us")
    when = start + rng.integers(0, 60 * 86_400, ROWS).astype("timedelta64[s]")
    names = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"]
    days = when.astype("datetime64[D]")
    schema, records = flat(
        {"at": "time", "week_day": "category", "date": "time", "hour": "number"},
        at=when, week_day=[names[d.item().weekday()] for d in days],
        date=days.astype("datetime64[us]"), hour=reals(when, "hour"),
    )  # fmt: skip
    out = found(schema, records)
    assert sorted(out.children) == ["date", "hour", "week_day"]
    whole = out.complete(Records.flat({"at": when}), schema, 1, 0)
    assert (whole.columns["date"] == records.columns["date"]).all()
    assert (whole.columns["week_day"].texts() == records.columns["week_day"].texts()).all()  # type: ignore[union-attr]


def test_columns_that_only_go_together_are_learned(rng: np.random.Generator) -> None:
    """One row in a hundred differs; and a parent of one row a key tells nothing."""
    plan = rng.integers(0, 8, ROWS)
    price = np.where(rng.random(ROWS) < 0.01, 99.0, plan * 2.0)
    schema, records = flat(
        {"plan": "category", "price": "number", "lone": "category", "rare": "category"},
        plan=[f"{i}" for i in plan], price=price, lone=[f"x{i}" for i in range(ROWS)],
        rare=["yes" if u < 0.001 else "no" for u in rng.random(ROWS)],
    )  # fmt: skip
    assert found(schema, records).children == ()


def test_chance_finds_nothing_in_columns_drawn_on_their_own() -> None:
    """200 tables of 8 columns; one false find in a million columns is what 30 nats allow."""
    for seed in range(200):
        rng = np.random.default_rng(seed)
        schema, records = flat(
            {f"c{i}": "category" if i < 6 else "number" for i in range(8)},
            **{f"c{i}": [f"{v}" for v in rng.geometric(0.3 + 0.1 * i, 120)] for i in range(6)},
            **{f"c{i}": rng.geometric(0.2, 120).astype(float) for i in (6, 7)},
        )
        assert found(schema, records).children == ()


def test_one_subject_with_many_rows_is_no_evidence() -> None:
    """20 subjects with 100 events each: their plan and town go together by chance."""
    rng = np.random.default_rng(0)
    owner = np.repeat(np.arange(20), 100)
    plan, town = rng.integers(0, 10, 20)[owner], rng.integers(0, 4, 20)[owner]
    columns = tuple(Column(name=n, kind="category") for n in ("plan", "town"))
    schema = Schema(family="events", shape="events", columns=columns, time="at")
    coded = {
        "plan": Coded.of([f"{p}.{o}" for p, o in zip(plan, owner, strict=True)]),
        "town": Coded.of([str(t) for t in town]),
    }
    records = Records(coded, np.arange(0, 2_001, 100))
    assert found(schema, records, parts=2).children == ()


def test_parts_count_what_the_whole_counts(rng: np.random.Generator) -> None:
    cell = rng.integers(0, 30, 4 * ROWS)
    price = np.where(np.arange(4 * ROWS) == 77, -1.0, cell % 5)  # one exception
    schema, records = flat(
        {"cell": "category", "price": "number"}, cell=[f"c{i}" for i in cell], price=price
    )
    candidates = (tables.Candidate("cell", "", "label", ("price",)),)
    cuts = np.array_split(np.arange(4 * ROWS), 7)
    parts = [tables.count(schema, candidates, records.take(c)) for c in cuts]
    whole = tables.finish(schema, candidates, tables.count(schema, candidates, records), 5)
    merged = tables.finish(schema, candidates, reduce(tables.merge, parts), 5)
    assert merged.state()[0]["labels"] == whole.state()[0]["labels"]
    assert np.array_equal(merged.groups[0].tables[0], whole.groups[0].tables[0])
    assert np.array_equal(merged.groups[0].rows, whole.groups[0].rows)


def test_a_key_of_few_subjects_is_not_told_and_its_rows_get_anothers_values(
    rng: np.random.Generator,
) -> None:
    cell = np.append(rng.integers(0, 20, ROWS), [99, 99, 99])
    schema, records = flat(
        {"cell": "category", "tower": "category"},
        cell=[f"c{i}" for i in cell],
        tower=[f"secret{i}" if i == 99 else f"t{i % 9}" for i in cell],
    )  # fmt: skip
    out = found(schema, records)
    assert "secret" not in str(out.state())
    drawn = Records.flat({"cell": Coded.of(["c3", "_RARE_", "c4"] * 5)})
    one = out.complete(drawn, schema, 1, 0).columns["tower"].texts()  # type: ignore[union-attr]
    two = out.complete(drawn.take(np.arange(4)), schema, 1, 0).columns["tower"].texts()  # type: ignore[union-attr]
    assert one[0] == "t3"
    assert one[2] == "t4"
    assert one[:4].tolist() == two.tolist()


def test_a_made_up_label_has_the_same_values_wherever_it_stands_and_the_shared_one_has_not(
    rng: np.random.Generator,
) -> None:
    cell = rng.integers(0, 20, ROWS)
    schema, records = flat(
        {"cell": "category", "tower": "category"},
        cell=[f"c{i}" for i in cell],
        tower=[f"t{i % 9}" for i in cell],
    )  # fmt: skip
    out = found(schema, records)
    names = [f"_RARE_{k}" for k in range(40)] + ["_RARE_"]
    drawn = Records.flat({"cell": Coded.of(names * 3)})
    blocks = [
        out.complete(drawn, schema, 1, block).columns["tower"].texts().reshape(3, -1)  # type: ignore[union-attr]
        for block in (0, 1)
    ]
    told = np.concatenate(blocks)
    assert (told[:, :-1] == told[0, :-1]).all()
    assert len(set(told[0, :-1])) > 5  # of nine, by chance .99998 of the seeds
    assert len(set(told[:, -1])) > 1  # all six the same: 2e-5


def test_a_place_follows_from_its_cell(rng: np.random.Generator) -> None:
    cell = rng.integers(0, 25, ROWS)
    columns = (
        Column(name="cell", kind="place"),
        Column(name="lat", kind="place", partner="lon"),
        Column(name="lon", kind="place"),
    )
    schema = Schema(family="table", shape="flat", columns=columns)
    lat, lon = 47 + cell / 100, 8 - cell / 50
    records = Records.flat({"cell": Coded.of([f"c{i}" for i in cell]), "lat": lat, "lon": lon})
    out = found(schema, records)
    assert out.children == ("lat",)
    assert [c.name for c in out.rest(schema).columns] == ["cell"]
    whole = out.complete(Records.flat({"cell": records.columns["cell"]}), schema, 1, 0)
    assert np.array_equal(np.asarray(whole.columns["lat"]), lat)
    assert np.array_equal(np.asarray(whole.columns["lon"]), lon)


def test_a_place_follows_from_area_and_cell_together(rng: np.random.Generator) -> None:
    """Cell ids repeat from area to area, as in GSM; a pair never seen keeps to its cell id."""
    area, cell = rng.integers(0, 4, ROWS), rng.integers(0, 15, ROWS)
    kept = ~((area == 3) & (cell == 14))
    area, cell = area[kept], cell[kept]
    site = (area * 31 + cell * 17) % 50
    schema, records = flat(
        {"area": "category", "cell": "category", "site": "category"},
        area=[f"a{i}" for i in area], cell=[f"c{i}" for i in cell], site=[f"s{i}" for i in site],
    )  # fmt: skip
    out = found(schema, records, parts=3)
    (only,) = out.groups
    assert (only.parent, only.second, only.children) == ("cell", "area", ("site",))
    out = Determined.from_state(loads(dumps(out.state())))
    left = Records.flat({n: records.columns[n] for n in ("area", "cell")})
    again = out.complete(left, schema, 1, 0).columns["site"].texts()  # type: ignore[union-attr]
    assert (again == records.columns["site"].texts()).all()  # type: ignore[union-attr]
    new = Records.flat({"area": Coded.of(["a3"] * 9), "cell": Coded.of(["c14"] * 9)})
    drawn = set(out.complete(new, schema, 1, 0).columns["site"].texts())  # type: ignore[union-attr]
    assert len(drawn) == 1
    assert drawn < {f"s{(a * 31 + 14 * 17) % 50}" for a in range(3)}


def test_a_discount_follows_from_a_kind_and_a_region_that_itself_follows_from_a_shop(
    rng: np.random.Generator,
) -> None:
    """Shops and kinds are drawn; each kind has a discount of its own in each region."""
    shop, kind = rng.integers(0, 60, ROWS), rng.integers(0, 9, ROWS)
    discount = np.array([0.0, 0.1, 0.25])[(shop % 6 * 5 + kind * 7) % 11 % 3]
    schema, records = flat(
        {"shop": "category", "region": "category", "kind": "category", "discount": "number"},
        shop=[f"s{i}" for i in shop], region=[f"r{i % 6}" for i in shop],
        kind=[f"k{i}" for i in kind], discount=discount,
    )  # fmt: skip
    out = found(schema, records, parts=3)
    assert [(g.parents, g.children) for g in out.groups] == [
        (("shop",), ("region",)),
        (("kind", "region"), ("discount",)),
    ]
    left = Records.flat({n: records.columns[n] for n in ("shop", "kind")})
    again = out.complete(left, schema, 1, 0).columns["discount"]
    np.testing.assert_array_equal(again, discount)


def test_a_value_of_one_subject_is_not_told_for_a_key_of_five(rng: np.random.Generator) -> None:
    """Five holders of the plan, each with a price of its own: too few agree to tell any."""
    plan = np.append(rng.integers(0, 40, 20_000), [99] * 5)
    price = np.append(plan[:-5] % 25 * 2.5, 900 + np.arange(5) + 0.11)
    schema, records = flat(
        {"plan": "category", "price": "number"}, plan=[f"{i}" for i in plan], price=price
    )
    out = found(schema, records, parts=3)
    assert out.children == ("price",)
    assert "99" not in out.groups[0].labels
    assert np.asarray(out.groups[0].tables[0]).max() < 900


def test_the_parts_may_be_cut_and_merged_in_any_order() -> None:
    """Of one key: five rows of 1 and 2, seven of 2 and 3, three of 2; 2 is the heaviest, with 8."""
    rows = [1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3, 3, 2, 2, 2]
    schema, records = flat(
        {"cell": "category", "price": "number"}, cell=["a"] * 15, price=np.array(rows, np.float64)
    )
    candidates = (tables.Candidate("cell", "", "label", ("price",)),)
    cuts = [np.arange(0, 5), np.arange(5, 12), np.arange(12, 15)]
    for order in permutations(cuts):
        parts = [tables.count(schema, candidates, records.take(c)) for c in order]
        (counted,) = reduce(tables.merge, parts)
        assert counted["children"][0][0] == {1.0: [3, 3], 2.0: [8, 8], 3.0: [4, 4]}


def test_a_date_that_is_another_day_in_some_rows_is_learned(rng: np.random.Generator) -> None:
    """The sample may show none of them: the count over all rows decides."""
    at = np.datetime64("2026-01-05", "us") + rng.integers(0, 6e6, ROWS).astype("timedelta64[s]")
    day = at.astype("datetime64[D]").astype("datetime64[us]")
    late = np.where(np.arange(ROWS) % 100 == 7, day + np.timedelta64(1, "D"), day)
    candidates = (Formula(child="date", form="time", parents=("at",), grid=86_400e6),)
    for dates, kept in ((day, ("date",)), (late, ())):
        schema, records = flat({"at": "time", "date": "time"}, at=at, date=dates)
        parts = [
            tables.count(schema, candidates, records.take(c))
            for c in np.array_split(np.arange(ROWS), 3)
        ]
        found_all = tables.finish(schema, candidates, reduce(tables.merge, parts), 5)
        assert found_all.children == kept


def test_a_clause_on_a_child_becomes_one_on_its_parent() -> None:
    group = Group(
        parent="cell", second="", part="", how="label", per_subject=False,
        children=("region", "height_m"), labels=("c1", "c2", "c3"), seconds=(),
        keys=np.zeros(0), rows=np.ones(3),
        tables=(Coded.of(["north", "south", "north"]), np.array([5.0, 9.0, 30.0])),
    )  # fmt: skip
    found = Determined((group,))
    schema = Schema(family="table", shape="flat", columns=())
    north = Clause(field="region", labels=("north",))
    low = Clause(field="height_m", high=10.0)
    assert found.asked(Condition((north,)), schema).of("cell").labels == ("c1", "c3")
    assert found.asked(Condition((north, low)), schema).of("cell").labels == ("c1",)
    with pytest.raises(ImpossibleConditionError):
        found.asked(Condition((Clause(field="region", labels=("west",)),)), schema)


def test_an_amount_that_only_its_usual_value_is_known_of_is_learned(
    rng: np.random.Generator,
) -> None:
    """Nobody without a charge has an overage; of those with one few share the charge."""
    minutes = np.where(rng.random(ROWS) < 0.06, rng.integers(1, 3_000, ROWS), 0).astype(float)
    rate = rng.choice([0.12, 0.19], ROWS)
    schema, records = flat(
        {"charge": "number", "overage": "number"},
        charge=np.round(minutes * rate, 2), overage=minutes,
    )  # fmt: skip
    assert len(np.unique(records.columns["charge"])) > len(np.unique(minutes))
    assert not found(schema, records).groups
    coarse = np.ceil(minutes / 1_000)  # of 0 to 3 thousands all are held by many
    schema, records = flat(
        {"charge": "number", "overage": "number"}, charge=coarse * 20, overage=-coarse
    )
    assert found(schema, records).children == ("overage",)
