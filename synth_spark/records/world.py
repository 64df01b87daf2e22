"""A small telecom world made up by rules: cells, subscribers, and their calls, texts and data.

Nothing here was learned from anybody. It exists so that a first run needs no data: people with a
home and a place of work, a circle of contacts that they call unequally often, a rhythm of the day
and the week, answers that follow calls, durations and volumes with long tails. Its agreement with a
real network is not claimed, and a twin of it says nothing about quality on real records.

Times are a local clock without a zone. The same seed makes the same world.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.seeds import generator
from synth_spark.errors import PlanError

if TYPE_CHECKING:
    import pyarrow as pa

START = np.datetime64("2026-01-05T00:00:00", "us")  # a Monday
REGIONS = ("capital", "coast", "inland", "north")
CENTRES = np.array([[14.70, -17.45], [14.40, -16.95], [14.78, -15.92], [16.02, -16.49]])
SHARES = (0.46, 0.24, 0.18, 0.12)
PLANS = ("S", "M", "L", "unlimited")
PRICES = np.array([4.99, 9.99, 19.99, 39.99])  # a month
AGES = ("16-24", "25-39", "40-59", "60+")
DEVICES = ("feature phone", "smartphone", "flagship")
TYPES = ("call", "sms", "data")
CELLS_A_REGION = 15
CONTACTS = 40  # at most, of one subscriber
#              hour of the day 0 ........................................................... 23
DAY = np.array(
    [2, 1, 1, 1, 1, 2, 5, 9, 12, 13, 13, 14, 15, 13, 12, 13, 14, 17, 19, 18, 15, 11, 7, 4]
)
WEEK = np.array([1.0, 1.0, 1.02, 1.05, 1.2, 0.95, 0.75])  # Monday to Sunday

Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class World:
    """Three tables, column by column, under the names of the families cell, subscriber and cdr."""

    cell: Columns
    subscriber: Columns
    cdr: Columns


def make(*, subscribers: int = 400, days: int = 21, seed: int = 1) -> World:
    """Make a world; about 8 events a subscriber and day."""
    cell = _cells(seed)
    people = _people(subscribers, seed)
    return World(cell, _profiles(people, seed), _events(people, cell, days, seed))


def _cells(seed: int) -> Columns:
    rng = generator(seed, "world/cells")
    region = np.repeat(np.arange(len(REGIONS)), CELLS_A_REGION)
    spread = np.array([0.05, 0.12, 0.20, 0.15])[region, None]  # degrees
    at = CENTRES[region] + rng.normal(size=(len(region), 2)) * spread
    return {
        "cell_id": np.array(
            [f"608-01-{i:05d}" for i in 10_000 + 37 * np.arange(len(region))], object
        ),
        "radio": _pick(rng, ("eutran", "utran", "nr"), (0.6, 0.3, 0.1), len(region)),
        "latitude": np.round(at[:, 0], 5),
        "longitude": np.round(at[:, 1], 5),
        "range_m": np.round(rng.lognormal(7.0, 0.5, len(region))),
        "region": np.array(REGIONS, object)[region],
    }


def _people(count: int, seed: int) -> Columns:
    """What drives behaviour; only a part of it stands in the tables."""
    rng = generator(seed, "world/people")
    region = rng.choice(len(REGIONS), count, p=SHARES)
    age = rng.choice(len(AGES), count, p=(0.27, 0.36, 0.25, 0.12))
    wealth = rng.normal(size=count) + 0.5 * (region == 0) + 0.2 * (age == 1) - 0.3 * (age == 3)
    device = np.digitize(wealth + rng.normal(size=count) * 0.6, [-0.7, 1.2])
    plan = np.digitize(
        wealth + 0.4 * (device == 2) + rng.normal(size=count) * 0.5, [-0.3, 0.6, 1.6]
    )
    home = region * CELLS_A_REGION + rng.integers(CELLS_A_REGION, size=count)
    works = rng.random(count) < np.array([0.5, 0.8, 0.75, 0.15])[age]
    work = np.where(works, region * CELLS_A_REGION + rng.integers(CELLS_A_REGION, size=count), home)
    rate = rng.lognormal(np.log(5.5) - 0.15 * age + 0.12 * plan, 0.6)  # chosen events a day
    ids = np.array([f"22177{i:07d}" for i in rng.choice(10_000_000, count, replace=False)], object)
    return {
        "id": ids,
        "region": region,
        "age": age,
        "plan": plan,
        "device": device,
        "home": home,
        "work": work,
        "rate": rate,
        "late_h": rng.normal(size=count) * 1.3 - 0.6 * age + 0.8,
        "data_share": np.clip(
            0.12 + 0.2 * device - 0.07 * age + rng.normal(size=count) * 0.05, 0.02, 0.8
        ),
        "tenure": np.floor(rng.exponential(30, count)).clip(0, 180),
    }


def _profiles(people: Columns, seed: int) -> Columns:
    rng = generator(seed, "world/profiles")
    count = len(people["id"])
    prepaid = rng.random(count) < np.array([0.95, 0.75, 0.35, 0.1])[people["plan"]]
    extras = np.where(rng.random(count) < 0.3, rng.lognormal(0.5, 0.8, count), 0.0)
    charge = np.round(PRICES[people["plan"]] + extras, 2)
    score = -1.2 - 0.035 * people["tenure"] + 0.8 * prepaid - 0.12 * (people["rate"] - 5)
    churned = rng.random(count) < 1 / (1 + np.exp(-score))
    return {
        "subscriber_id": people["id"],
        "age_band": np.array(AGES, object)[people["age"]],
        "region": np.array(REGIONS, object)[people["region"]],
        "device_type": np.array(DEVICES, object)[people["device"]],
        "plan": np.array(PLANS, object)[people["plan"]],
        "payment": np.where(prepaid, "prepaid", "postpaid").astype(object),
        "tenure_months": people["tenure"].astype(np.int64),
        "monthly_charge": charge,
        "total_charge": np.round(charge * people["tenure"] * rng.uniform(0.97, 1.03, count), 2),
        "churned": churned,
    }


def _events(people: Columns, cell: Columns, days: int, seed: int) -> Columns:
    rng = generator(seed, "world/events")
    weight = np.resize(WEEK, days)
    chosen = rng.poisson(people["rate"] * weight.sum())
    owner = np.repeat(np.arange(len(chosen)), chosen)
    second = rng.choice(days, len(owner), p=weight / weight.sum()) * 86_400.0
    hour = rng.choice(24, len(owner), p=DAY / DAY.sum()) + people["late_h"][owner]
    second += (hour % 24 + rng.random(len(owner))) % 24 * 3_600
    kind = np.where(
        rng.random(len(owner)) < people["data_share"][owner],
        2,
        (rng.random(len(owner)) < np.array([0.55, 0.4, 0.25, 0.1])[people["age"]][owner]).astype(
            int
        ),
    )
    outward = rng.random(len(owner)) < 0.55
    party = _party(rng, owner)
    answered = (rng.random(len(owner)) < np.where(kind == 1, 0.5, 0.2)) & (kind < 2)
    again = np.flatnonzero(answered)
    gap = rng.lognormal(np.log(150), 1.1, len(again))  # s
    order_by = np.concatenate([second, second[again] + gap])
    owner, kind = np.concatenate([owner, owner[again]]), np.concatenate([kind, kind[again]])
    outward = np.concatenate([outward, ~outward[again]])
    party = np.concatenate([party, party[again]])
    inside = order_by < days * 86_400
    order = np.lexsort((order_by, owner))
    order = order[inside[order]]
    drawn = {"owner": owner, "second": order_by, "kind": kind, "out": outward, "party": party}
    return _rows(people, cell, seed, {name: values[order] for name, values in drawn.items()})


def _party(rng: np.random.Generator, owner: NDArray[np.int64]) -> NDArray[np.int64]:
    """A contact's rank for each event: few strong ties and many weak ones (Zipf, capped)."""
    steep = 0.9 + 0.5 * rng.random(int(owner.max(initial=0)) + 1)[owner]
    return np.floor(CONTACTS ** rng.random(len(owner)) ** steep).astype(np.int64) - 1


def _rows(people: Columns, cell: Columns, seed: int, drawn: Columns) -> Columns:
    """The table of events from whose, when (s since the start), what, which way and with whom."""
    owner, second, kind, party = (drawn[n] for n in ("owner", "second", "kind", "party"))
    rng = generator(seed, "world/rows")
    numbers = _numbers(people, seed)[owner, party]
    numbers[kind == 2] = None
    count, data, sms = len(owner), kind == 2, kind == 1
    missed = (kind == 0) & (rng.random(count) < 0.12)
    talk = rng.lognormal(np.log(110) - 0.25 * np.log1p(party), 1.1)
    session = rng.lognormal(np.log(240), 1.0, count)
    length = np.where(data, session, np.where(missed, 0, talk)).clip(0, 7_200).round()
    down = np.round(rng.lognormal(13.2, 1.7, count) * (1 + people["plan"][owner]))
    hour, day = second / 3_600 % 24, (second // 86_400).astype(np.int64) % 7
    working = (hour >= 9) & (hour < 17.5) & (day < 5)
    where = np.where(working, people["work"][owner], people["home"][owner])
    away = rng.random(count) < np.where(working | (hour < 6), 0.05, 0.22)
    near = people["region"][owner] * CELLS_A_REGION + rng.integers(CELLS_A_REGION, size=count)
    where = np.where(away, near, where)
    return {
        "subscriber_id": people["id"][owner],
        "event_at": START + (second * 1e6).astype("timedelta64[us]").astype("timedelta64[s]"),
        "event_type": np.array(TYPES, object)[kind],
        "direction": np.where(drawn["out"] | data, "out", "in").astype(object),
        "correspondent_id": numbers,
        "duration_s": np.where(sms, np.nan, length),
        "cell_id": cell["cell_id"][where],
        "downlink_bytes": np.where(data, down, np.nan),
        "radio": cell["radio"][where],
        "region": np.array(REGIONS, object)[people["region"]][owner],
        "plan": np.array(PLANS, object)[people["plan"]][owner],
    }


def _numbers(people: Columns, seed: int) -> NDArray[np.object_]:
    """The contacts of each subscriber, shape (subscribers, CONTACTS): a third are subscribers."""
    rng = generator(seed, "world/contacts")
    count = len(people["id"])
    inside = people["id"][rng.integers(count, size=(count, CONTACTS))]
    outside = rng.integers(10_000_000, size=(count, CONTACTS))
    texts = np.array([f"22178{n:07d}" for n in outside.ravel()], object).reshape(outside.shape)
    same = inside == people["id"][:, None]
    return np.where((rng.random((count, CONTACTS)) < 0.35) & ~same, inside, texts)


def _pick(rng: np.random.Generator, names: tuple[str, ...], p: Any, count: int) -> NDArray[Any]:
    return np.array(names, object)[rng.choice(len(names), count, p=p)]


# ---- writing -------------------------------------------------------------------------------------


def table(columns: Columns) -> pa.Table:
    """A table as Arrow; whole numbers with gaps become nullable integers."""
    import pyarrow as pa

    whole = {"duration_s", "downlink_bytes", "range_m"}
    arrays = {
        name: pa.array(values, from_pandas=True, type=pa.int64() if name in whole else None)
        for name, values in columns.items()
    }
    return pa.table(arrays)


def write(world: World, folder: Path, form: str = "parquet") -> dict[Path, int]:
    """Write the tables as FOLDER/cell, subscriber, cdr with the ending of `form`.

    Returns:
        The rows of each file.
    """
    import pyarrow.csv
    import pyarrow.parquet

    if form not in {"parquet", "csv"}:
        raise PlanError(f"A world is written as parquet or csv, not {form!r}.", form=form)
    folder.mkdir(parents=True, exist_ok=True)
    rows = {}
    for name in ("cell", "subscriber", "cdr"):
        made, path = table(getattr(world, name)), folder / f"{name}.{form}"
        if form == "csv":
            pyarrow.csv.write_csv(made, path)
        else:
            pyarrow.parquet.write_table(made, path)
        rows[path] = made.num_rows
    return rows


def materialise(source: str, folder: Path) -> Path:
    """Write the world that a plan's source names and return the table's path.

    Args:
        source: `world:cdr`, `world:subscriber?subscribers=1000&seed=2`, ...
        folder: Where the tables go.

    Raises:
        PlanError: No such table or setting (SYN-100).
    """
    name, _, query = source.removeprefix("world:").partition("?")
    given = dict(parse_qsl(query))
    known = {"subscribers", "days", "seed"}
    if name not in {"cell", "subscriber", "cdr"} or not known >= set(given):
        raise PlanError(
            f"{source!r} is no table of the built-in world.",
            hint="world:cdr, world:subscriber or world:cell, with ?subscribers=..&days=..&seed=..",
            source=source,
        )
    if not all(v.isdigit() for v in given.values()):
        raise PlanError(f"The settings of {source!r} are whole numbers.", source=source)
    write(make(**{k: int(v) for k, v in given.items()}), folder)
    return folder / f"{name}.parquet"
