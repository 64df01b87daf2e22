"""Values of parameters that are made up: in the old format, of their type, and nobody's."""

from __future__ import annotations

import re

import numpy as np
import pytest

from synth_spark.columns._text_made import STANDARD, Dice, Formats
from synth_spark.columns._text_slots import Memory, Slot, use_of
from synth_spark.core.masks import is_of

AT_US = int(np.datetime64("2024-05-06T07:08:09.123456", "us").astype(np.int64))


def made(type_: str, values: list[str], draws: int = 200) -> list[str]:
    formats = Formats.learn(type_, ((v, i) for i, v in enumerate(values)), min_subjects=3)
    dice = Dice(7)
    return [formats.draw(dice, AT_US) for _ in range(draws)]


@pytest.mark.parametrize("type_", sorted(STANDARD))
def test_without_any_format_a_value_of_the_type_is_made(type_: str) -> None:
    assert all(is_of(type_, v) for v in [*made(type_, [], 20), STANDARD[type_]])


def test_pieces_that_enough_subjects_share_stay_and_others_are_filled() -> None:
    found = made("word", [f"R0{i}-node{i}-rack" for i in range(5)])
    assert all(re.fullmatch(r"[A-Z][0-9]{2}-[a-z]{4}[0-9]-rack", v) for v in found)
    kept = made("word", ["eth-0ab", "eth-1cd", "eth-2ef", "eth-3gh"])
    assert all(v.startswith("eth-") for v in kept)


def test_addresses_keep_told_octets_and_every_octet_is_one() -> None:
    found = made("ip", [f"10.251.{200 + i}.{i + 1}:5001{i}" for i in range(5)])
    octets = [[int(x) for x in v.partition(":")[0].split(".")] for v in found]
    assert all(o[:2] == [10, 251] and max(o) < 255 for o in octets)
    assert len({tuple(o) for o in octets}) > 150


def test_dates_and_clocks_are_those_of_the_row() -> None:
    assert set(made("date", ["2016-09-28", "2016-09-29", "2016-10-01"])) == {"2024-05-06"}
    assert set(made("clock", ["12:46:37.123", "1:02:03.500", "11:12:13.700", "10:00:01.900"])) == {
        "07:08:09.123"
    }


def test_a_hex_stays_one_though_its_digits_are_drawn() -> None:
    assert all(is_of("hex", v) for v in made("hex", ["9f4ef63", "a64f992", "de9231d"]))


def learned(rows: list[tuple[int, str]], type_: str = "number") -> Slot:
    """A slot from (subject, value) in the order of the lines of one template."""
    memories: dict[int, Memory] = {}
    uses = []
    for owner, value in rows:
        memory = memories.setdefault(owner, Memory())
        uses.append(use_of((0, 0), "number", owner, [value], memory))
        memory.note(0, 0, "number", value)
        memory.before = 0
    return Slot.learn(type_, "number", uses, 3, [""] * len(uses))[0]


def drawn(slot: Slot, lines: int) -> list[str]:
    memory, dice, out = Memory(), Dice(3), []
    for _ in range(lines):
        out.append(slot.draw((0, 0), [], "", memory, dice, None)[0])
        memory.note(0, 0, "number", out[-1])
        memory.before = 0
    return out


def test_a_counter_goes_on_by_its_steps() -> None:
    slot = learned([(s, str(1_000 * s + 2 * i)) for s in range(1, 6) for i in range(20)])
    values = [int(v) for v in drawn(slot, 15)]
    assert np.diff(values).tolist() == [2] * 14


def test_a_value_that_a_subject_keeps_is_kept() -> None:
    slot = learned([(s, str(7_919 * s)) for s in range(1, 9) for _ in range(10)])
    assert len(set(drawn(slot, 30))) == 1


def test_padded_numbers_and_decimals_are_written_as_the_source_does() -> None:
    padded = learned([(s, f"{(s * 37 + i * 11) % 900:06d}") for s in range(6) for i in range(20)])
    assert all(re.fullmatch(r"0\d{5}", v) for v in drawn(padded, 30))
    cents = learned(
        [(s, f"{(s * 37 + i * 13) % 90 + 0.25:.2f}") for s in range(6) for i in range(20)]
    )
    assert all(re.fullmatch(r"\d+\.25", v) for v in drawn(cents, 30))


def test_dice_are_splitmix64() -> None:
    # the first outputs for seed 1234567, as published with the reference code
    dice = Dice(1234567)
    assert [dice.bits() for _ in range(2)] == [6457827717110365317, 3203168211198807973]
