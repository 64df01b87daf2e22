"""Local clocks: formats, epochs, zones and the two hours of daylight saving."""

from __future__ import annotations

import pytest

from synth_spark.core.schema import Column
from synth_spark.spark.times import TimeFormatError, from_clock, java_format, to_clock
from synth_spark.spark.typed import as_kind

SPRING = 1711845000  # 2024-03-31 00:30 UTC, half an hour before the clocks of Berlin jump
AUTUMN = 1729989000  # 2024-10-27 00:30 UTC, half an hour before they go back


@pytest.mark.parametrize(
    ("zone", "clocks"),
    [
        (
            "UTC",
            [
                "2024-03-31 00:30:00",
                "2024-03-31 01:30:00",
                "2024-10-27 00:30:00",
                "2024-10-27 01:30:00",
            ],
        ),
        # 01:30 is followed by 03:30 in spring, and 02:30 comes twice in autumn
        (
            "Europe/Berlin",
            [
                "2024-03-31 01:30:00",
                "2024-03-31 03:30:00",
                "2024-10-27 02:30:00",
                "2024-10-27 02:30:00",
            ],
        ),
    ],
)
def test_instants_become_the_local_clock_of_the_zone(spark, zone: str, clocks: list[str]) -> None:
    rows = [(s,) for s in (SPRING, SPRING + 3600, AUTUMN, AUTUMN + 3600)]
    frame = spark.createDataFrame(rows, "at bigint")
    clock = to_clock(frame["at"], "bigint", "epoch_s", zone)
    found = [str(r[0]) for r in frame.select(clock).collect()]
    assert found == clocks


def test_times_as_text_are_read_in_their_format_and_written_back(spark) -> None:
    rows = [
        ("31/12/2023 23:59", "2023-12-31T23:59:58.5"),
        ("1/2/2024 7:05", "not a time"),
        (None, None),
    ]
    frame = spark.createDataFrame(rows, "a string, b string")
    a, b = (
        to_clock(frame["a"], "string", "%d/%m/%Y %H:%M", "UTC"),
        to_clock(frame["b"], "string", "", "UTC"),
    )
    found = frame.select(a, b, from_clock(a, "string", "%d/%m/%Y %H:%M", "UTC")).collect()
    assert [str(r[0]) for r in found] == ["2023-12-31 23:59:00", "2024-02-01 07:05:00", "None"]
    assert [str(r[1]) for r in found] == ["2023-12-31 23:59:58.500000", "None", "None"]
    assert [r[2] for r in found] == ["31/12/2023 23:59", "01/02/2024 07:05", None]


@pytest.mark.parametrize(
    "kind", ["bigint:epoch_s", "bigint:epoch_ms", "timestamp:", "date:", "string:%Y%m%d", "string:"]
)
def test_a_clock_goes_back_into_the_type_it_came_from(spark, kind: str) -> None:
    source_type, form = kind.split(":")
    start = {
        "bigint": str(SPRING * (1000 if form == "epoch_ms" else 1)),
        "string": "20240331" if form else "2024-03-31 02:00:00",
    }
    text = start.get(source_type, "2024-03-31" if source_type == "date" else "2024-03-31 00:30:00")
    frame = spark.createDataFrame([(text,)], "t string").selectExpr(
        f"cast(t AS {source_type}) AS t"
    )
    back = from_clock(
        to_clock(frame["t"], source_type, form, "Europe/Berlin"), source_type, form, "Europe/Berlin"
    )
    row = frame.select(frame["t"].alias("was"), back.alias("now")).first()
    assert row["was"] == row["now"]


@pytest.mark.parametrize(
    ("form", "written"), [("%Y-%m-%dT%H:%M:%S%:z", "+00:00"), ("%Y-%m-%dT%H:%M:%S%z", "Z")]
)
def test_a_zone_is_read_however_it_is_written(spark, form: str, written: str) -> None:
    stem = "2024-10-27T0{}:30:00{}"
    texts = [stem.format(2, "+02:00"), stem.format(2, "+0100"), stem.format(1, "Z")]
    frame = spark.createDataFrame([(t,) for t in [*texts, "soon"]], "t string")
    clock = to_clock(frame["t"], "string", form, "Europe/Berlin")
    back = from_clock(clock, "string", form, "UTC")
    found = frame.select(clock, back).collect()
    # before and after the clocks went back, and the second of these instants once more
    assert [str(r[0]) for r in found] == ["2024-10-27 02:30:00"] * 3 + ["None"]
    assert [r[1] for r in found] == [f"2024-10-27T02:30:00{written}"] * 3 + [None]


def test_a_directive_that_cannot_be_read_is_named() -> None:
    assert java_format("%Y-%m-%dT%H:%M:%S") == "yyyy-MM-dd'T'HH:mm:ss"
    with pytest.raises(TimeFormatError, match="%U"):
        java_format("%Y week %U")


def test_categories_are_written_as_people_would(spark) -> None:
    frame = spark.createDataFrame(
        [(1.0, True), (2.5, False), (None, None), (1e3, True)], "x double, b boolean"
    )
    columns = [
        as_kind(frame[n], Column(name=n, kind="category"), t, "UTC")[0]
        for n, t in (("x", "double"), ("b", "boolean"))
    ]
    found = frame.select(*columns).collect()
    assert [r[0] for r in found] == ["1", "2.5", None, "1000"]
    assert [r[1] for r in found] == ["true", "false", None, "true"]


def test_days_held_as_whole_numbers_come_back(spark) -> None:
    frame = spark.createDataFrame([(20240229,), (None,), (19691231,)], "day bigint")
    clock = to_clock(frame["day"], "bigint", "%Y%m%d", "UTC")
    back = from_clock(clock, "bigint", "%Y%m%d", "UTC")
    assert [r[0] for r in frame.select(back).collect()] == [20240229, None, 19691231]


def test_numbers_without_a_format_are_no_times(spark) -> None:
    frame = spark.createDataFrame([(1,)], "at bigint")
    with pytest.raises(TimeFormatError, match="bigint"):
        to_clock(frame["at"], "bigint", "", "UTC")
