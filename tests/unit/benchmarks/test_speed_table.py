"""The table of speeds: every bar has a line, and only what reaches it says so."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks import speed_table, training_speed


def figures(**values: float) -> dict[str, float]:
    return {"rows": 600, "subjects": 20, "rows_per_s_per_core": 1, "share_of_limit": 0.1, **values}


def test_every_bar_has_a_line_that_says_reached_missed_or_not_measured(tmp_path: Path) -> None:
    kept = {
        "markov events": figures(share_of_limit=0.5),
        "vae flat": figures(rows_per_s_per_core=99_999),
        "simulation events": figures(share_of_limit=0.9),  # a model of records is another case
    }
    (tmp_path / "sampling.json").write_text(json.dumps({"figures": kept}))
    ranks = {"two_ranks": {"wide": 1.76, "narrow": 1.12}}
    (tmp_path / "training.json").write_text(json.dumps(ranks))
    lines = speed_table.markdown(tmp_path, tmp_path).splitlines()[2:]
    assert len(lines) == len(speed_table.BARS) + 2 + 2
    assert lines[0].endswith("| 0.50 (600 rows of 20 subjects) | ≥ 0.5 | reached |")
    assert lines[1].endswith("| not measured | ≥ 0.5 |  |")
    assert lines[3].endswith("| 99,999 (600 rows of 20 subjects) | ≥ 100,000 | missed |")
    assert lines[-2].endswith("| 1.76 | ≥ 1.7 | reached |")
    assert lines[-1].endswith("| 1.12 | ≥ 1.7 | missed |")


def test_training_on_one_core_is_reached_only_with_all_targets_of_quality(tmp_path: Path) -> None:
    numbers = {"accuracy": 0.98, "c2st": 0.5, "tstr": 0.86, "broken": 0.0, "dcr_excess": 0.04}

    def line(**more: float) -> str:
        kept = {"numbers": {**numbers, "fit_s": 18.8, **more}}
        (tmp_path / "churn-autoregressive-seed0-cores1.json").write_text(json.dumps(kept))
        table = speed_table.markdown(tmp_path, tmp_path).splitlines()
        return next(x for x in table if "churn" in x)

    assert line().endswith("| 18.8 s, 5 of 5 targets | ≤ 40 s, all targets | reached |")
    assert line(fit_s=41.0).endswith("| 41.0 s, 5 of 5 targets | ≤ 40 s, all targets | missed |")
    assert line(c2st=0.6).endswith("| 18.8 s, 4 of 5 targets | ≤ 40 s, all targets | missed |")


def test_two_ranks_are_set_beside_one_of_the_same_batch_and_of_the_same_a_rank() -> None:
    one = {f"1 rank{k}": 100 for k in ("", ", 4x batch", ", 16x batch")}
    two = {
        f"2 ranks, {gang}{k}": 150
        for gang in ("horovod", "torch")
        for k in ("", ", 4x batch", ", 8x batch", ", 32x batch")
    }
    found = training_speed.two_ranks({**one, **two})
    widest = "2 ranks, horovod, 32x batch / 1 rank, 16x batch (a rank's batch is the same)"
    assert found[widest] == 1.5  # 16 times 256: 4,096 a rank
    assert len(found) == 8
