"""The benchmark's own scorers, on hand-made traces with known answers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import draws, quality, quality_table, sets
from benchmarks.sets import _distance, _mobility, at_least, at_most, campus, times_floor
from benchmarks.sets import friends_family_weeks as weeks
from synth_spark.core.shelf import FAMILIES

DAY = pd.Timestamp("2024-03-04")  # a Monday


def stays(*rows: tuple[str, float, int, int]) -> pd.DataFrame:
    """Stays from (subject, hours since Monday, cell's row, cell's column)."""
    cell = np.array([[r[2], r[3]] for r in rows])
    place = _mobility.centres(cell)
    return pd.DataFrame(
        {
            "subject": [r[0] for r in rows],
            "arrived": [DAY + pd.Timedelta(hours=r[1]) for r in rows],
            "latitude": place[:, 0],
            "longitude": place[:, 1],
            "stay_s": 3_600.0,
        }
    )


def test_wasserstein_is_the_shift_of_a_shifted_sample() -> None:
    assert _distance.wasserstein([0, 1, 5], [2, 3, 7]) == pytest.approx(2.0)
    assert _distance.wasserstein([0, 0, 4], [4, 4, 4]) == pytest.approx(8 / 3)


def test_kolmogorov_is_one_for_samples_that_do_not_meet_and_the_gap_for_those_that_do() -> None:
    assert _distance.kolmogorov([1, 2], [3, 4]) == 1.0
    assert _distance.kolmogorov([1, 2, 3, 4], [1, 2, 3, 9]) == pytest.approx(0.25)


def test_halves_share_nobody_and_lose_nobody() -> None:
    one, other = _distance.halves(np.array(list("abcdeabcde")))
    assert sorted([*one, *other]) == list("abcde")
    assert abs(len(one) - len(other)) == 1


def test_a_stay_lasts_until_the_next_fix_elsewhere_but_an_hour_beyond_its_last_one() -> None:
    at = DAY + pd.to_timedelta([0, 20, 40, 60, 300], unit="min")
    here, there = _mobility.centres(np.array([[9_000, 100], [9_010, 100]]))
    place = np.array([here, here, there, there, here])
    fixes = pd.DataFrame(
        {"subject": "a", "at": at, "latitude": place[:, 0], "longitude": place[:, 1]}
    )
    found = _mobility.stays(fixes)
    assert found["arrived"].tolist() == [at[0], at[2], at[4]]
    assert found["stay_s"].tolist() == [40 * 60, 20 * 60 + 3_600, 3_600]


def test_a_cells_centre_lies_in_the_cell() -> None:
    cell = np.array([[9_000, -12_000], [0, 0], [-7_123, 4_567]])
    place = _mobility.centres(cell)
    np.testing.assert_array_equal(_mobility.cells(place[:, 0], place[:, 1]), cell)


def test_facts_of_a_trace_that_goes_two_cells_north_and_back() -> None:
    trace = stays(("a", 0, 0, 0), ("a", 2, 2, 0), ("a", 5, 0, 0), ("a", 30, 1, 0))
    facts = _mobility.facts(trace)
    np.testing.assert_allclose(facts["jump_km"], [1.0, 1.0, 0.5], atol=1e-3)
    np.testing.assert_allclose(facts["day_km"], [2.0, 0.5], atol=1e-3)
    assert facts["places_a_day"].tolist() == [2, 1]
    assert facts["home_visits"].tolist() == [0.5]
    assert facts["home_time"].tolist() == [0.5]
    assert facts["away_s"].tolist() == [3 * 3_600]
    # positions 0, 1, 0, 0.5 km north: variance (0 + 1 + 0 + .25) / 4 - .375 ** 2
    np.testing.assert_allclose(facts["radius_km"], [np.sqrt(0.3125 - 0.140625)], atol=1e-3)


def test_a_table_is_at_no_distance_from_itself_and_its_runs_are_all_known() -> None:
    trace = stays(*[(s, h, h % 3, 0) for s in "ab" for h in range(6)])
    numbers = _mobility.compare(trace, trace)
    assert numbers.pop("grams_in_train") == 1.0
    assert set(numbers.values()) == {0.0}


def test_runs_of_cells_do_not_cross_subjects() -> None:
    trace = stays(("a", 0, 0, 0), ("a", 1, 1, 0), ("b", 0, 2, 0), ("b", 1, 3, 0), ("b", 2, 4, 0))
    assert len(_mobility.grams(trace)) == 1


def requests(*rows: tuple[str, float, str]) -> pd.DataFrame:
    """Requests from (person, minutes since Monday, host)."""
    at = [DAY + pd.Timedelta(minutes=r[1]) for r in rows]
    return pd.DataFrame({"person": [r[0] for r in rows], "at": at, "host": [r[2] for r in rows]})


def test_half_an_hour_without_a_request_ends_a_session() -> None:
    d = campus.ordered(
        requests(("a", 0, "x"), ("a", 29, "x"), ("a", 60, "y"), ("b", 61, "x"), ("b", 62, "x"))
    )
    assert d["session"].tolist() == [1, 1, 2, 3, 3]


def test_hosts_are_ranked_for_each_person_and_the_eleventh_is_other() -> None:
    rows = [("a", k, f"h{k}") for k in range(11)] + [("a", 20, "h5"), ("b", 0, "h9")]
    d = requests(*rows)
    ranks = campus.ranks(d)
    assert ranks[d["host"] == "h5"].tolist() == ["h01", "h01"]
    assert ranks.iloc[-1] == "h01"
    assert (ranks == "other").sum() == 1
    assert campus.top_shares(d).tolist() == [2 / 12, 1.0]


def test_weeks_of_phones_that_are_the_same_are_wholly_correlated_and_mixed_ones_are_not() -> None:
    rng = np.random.default_rng(3)
    rows = []
    for phone in range(30):
        for week in range(8):
            # as many events in a phone's every week, or as many as chance wants
            for events, kind in ((10 + 5 * phone, "own"), (int(rng.integers(10, 160)), "mixed")):
                hours = rng.random(events) * 168
                rows.append((kind, f"p{phone}", week, hours))
    parts = {
        kind: pd.concat(
            pd.DataFrame(
                {
                    "phone": phone,
                    "at": DAY + pd.Timedelta(weeks=week) + pd.to_timedelta(hours, unit="h"),
                    "contact": "c",
                }
            )
            for k, phone, week, hours in rows
            if k == kind
        )
        for kind in ("own", "mixed")
    }
    assert weeks.correlations(parts["own"])["events"] > 0.999
    assert abs(weeks.correlations(parts["mixed"])["events"]) < 0.5  # 30 phones: 5e-3 to be beyond


def test_a_goal_is_met_to_three_decimals_and_hangs_on_the_floor_where_it_says_so() -> None:
    assert at_most(0.57).met(0.5704, None) is True
    assert at_most(0.57).met(0.571, None) is False
    assert at_least(0.85).met(0.8495, None) is True
    assert times_floor(2).met(0.19, 0.1) is True
    assert times_floor(2).met(0.21, 0.1) is False
    assert times_floor(2).met(0.21, None) is None


def test_every_set_says_what_it_is_measured_with() -> None:
    for name in sets.names():
        one = sets.load(name)
        assert one.generators
        assert set(one.goals) <= set(one.generators)


def test_the_table_passes_a_number_only_if_every_seed_does(tmp_path: Path) -> None:
    one = sets.BenchSet(
        "toy", lambda data, out: None, lambda a, b, c: {}, lambda a, b: {}, ("markov",),
        goals={"markov": {"gap_ks": at_most(0.05), "gone": at_most(1)}},
    )  # fmt: skip
    for seed, value in ((0, 0.04), (1, 0.06)):
        numbers = {"gap_ks": value, "fit_s": 3.0}
        run = {"peak_mb": {"jvm": 1_024 * (1 + seed), "python": 512}}
        kept = {"set": "toy", "generator": "markov", "seed": seed, "numbers": numbers}
        kept |= {"run": run, "wall_s": 40.0}
        (tmp_path / f"toy-markov-seed{seed}.json").write_text(json.dumps(kept))
    text = quality_table.markdown([one], tmp_path)
    assert "| toy | markov | gap_ks | 0.040 / 0.060 | ≤ 0.050 | – | – | miss |" in text
    assert "0 pass, 1 miss, 1 not measured" in text
    short = quality_table.summary([one], tmp_path).splitlines()[2]
    assert short.startswith("| toy | `markov` | 1, 0 of 2 | **gap_ks .040, .060** (≤ .050)")
    (tmp_path / "toy-floor.json").write_text(json.dumps({"numbers": {"gap_ks": 0.02}}))
    own = quality_table.summary([replace(one, goals={})], tmp_path).splitlines()[2]
    assert own == "| toy | `markov` | - | gap_ks .040, .060 (-; .020) | fit_s 3.000, 3.000 |"
    assert "gone not measured in each run (≤ 1.000)" in short


def toy(folder: Path, generator: str, seed: int, **numbers: float) -> None:
    kept = {"set": "toy", "generator": generator, "seed": seed, "numbers": numbers, "wall_s": 40.0}
    run = {"peak_mb": {"jvm": 1_024 * (1 + seed), "python": 512}}
    kept |= {"run": {**run, "sampling": {"rows": 600, "seconds": 1.5}}}
    (folder / f"toy-{generator}-seed{seed}.json").write_text(json.dumps(kept))


def test_the_table_of_costs_has_family_quality_privacy_seconds_rate_and_memory(
    tmp_path: Path,
) -> None:
    one = sets.BenchSet(
        "toy", lambda data, out: None, lambda a, b, c: {}, lambda a, b: {}, ("markov",),
        goals={"markov": {"accuracy": at_least(0.9)}}, family="cdr",
    )  # fmt: skip
    toy(tmp_path, "markov", 0, accuracy=0.95, dcr_excess=0.02, fit_s=3.0)
    toy(tmp_path, "markov", 1, accuracy=0.85, dcr_excess=-0.01, fit_s=4.0)
    toy(tmp_path, "independent", 0, accuracy=0.5, fit_s=1.0)
    (tmp_path / "toy-floor.json").write_text(json.dumps({"numbers": {"accuracy": 0.93}}))
    speed = tmp_path / "sampling.json"
    figures = {"markov events, 4 columns": {"rows_per_s_per_core": 300_000}}
    speed.write_text(json.dumps({"figures": figures}))
    _, _, markov, alone = quality_table.costs([one], tmp_path, speed).splitlines()
    assert markov == (
        "| cdr | toy | `markov` | accuracy .950, .850 (.930) | 1, 0 of 1 | DCR excess .020, -.010 "
        "| 3, 4 | 40, 40 | 400, 400 (300,000) | 2.0 / 0.5 |"
    )
    assert alone == (
        "| cdr | toy | `independent` | accuracy .500 (.930) | - | - | 1 | 40 | 400 | 1.0 / 0.5 |"
    )


def test_a_missed_number_has_mean_and_deviation_of_its_draws_beside_it(tmp_path: Path) -> None:
    one = sets.BenchSet(
        "toy", lambda data, out: None, lambda a, b, c: {}, lambda a, b: {}, ("vae",),
        goals={"vae": {"dcr_excess": at_most(0.05), "accuracy": at_least(0.9)}},
    )  # fmt: skip
    toy(tmp_path, "vae", 0, accuracy=0.95, dcr_excess=0.07)
    drawn = {"mean": {"dcr_excess": 0.033, "accuracy": 0.96}, "sd": {"dcr_excess": 0.022}}
    (tmp_path / "toy-vae-seed0-draws.json").write_text(json.dumps({"numbers": drawn}))
    line = quality_table.summary([one], tmp_path).splitlines()[2]
    assert "**dcr_excess .070** (≤ .050; draws .033 ± .022); accuracy .950 (≥ .900)" in line


def test_the_collapse_monitor_is_green_only_if_it_looked_and_saw_no_collapse(
    tmp_path: Path,
) -> None:
    def green(about: dict[str, object]) -> dict[str, float]:
        folder = tmp_path / "models" / "twin"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "card.json").write_text(json.dumps({"about": about}))
        return quality.monitored(tmp_path)

    curve = [[0, 0.06], [1, 0.05]]
    assert green({"adversarial": {"distance": curve, "collapsed_in": []}}) == {"monitor_green": 1}
    assert green({"adversarial": {"distance": curve, "collapsed_in": [1]}}) == {"monitor_green": 0}
    assert green({"adversarial": {"distance": [], "collapsed_in": []}}) == {"monitor_green": 0}
    assert green({"rows": 4}) == {}


def test_every_set_is_of_a_record_family() -> None:
    assert {sets.load(name).family for name in sets.names()} <= set(FAMILIES.names())


def test_a_larger_twin_is_cut_into_parts_with_no_subject_in_two(tmp_path: Path) -> None:
    """Seven subjects in three parts: two each, and the seventh in none."""
    owner = [f"s{k}" for k in (0, 0, 1, 2, 2, 2, 3, 4, 5, 5, 6)]
    pd.DataFrame({"key": owner, "row": range(11)}).to_parquet(tmp_path / "twin.parquet")
    found = [set(p["key"]) for p in draws.parts(tmp_path / "twin.parquet", "key", 3)]
    assert found == [{"s0", "s1"}, {"s2", "s3"}, {"s4", "s5"}]
    rows = [len(p) for p in draws.parts(tmp_path / "twin.parquet", None, 2)]
    assert rows == [5, 5]
