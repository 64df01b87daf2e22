"""Loghub: 2,000 lines of each of 16 systems, in sequences of 50 lines of one system.

Every fifth sequence is held out. The times of the systems are brought into one column; where a
format has no year one is taken, and a date that jumps back begins a new year. Licence and paper:
Zhu et al., "Loghub: A Large Collection of System Log Datasets for AI-driven Log Analytics", ISSRE
2023, https://github.com/logpai/loghub.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.sets import Goal
from synth_spark.columns._text_column import Text
from synth_spark.columns._text_mine import Templates, mine
from synth_spark.core.conditions import Condition
from synth_spark.pipelines.drawer import ModelDrawer
from synth_spark.pipelines.model_folder import Saved, load_saved

SOURCE = "network/loghub_16_systems_2k.parquet"
LINES = 50  # of a sequence
HELD_OUT = 5  # every fifth sequence
YEAR = 2015  # where the source has none
KEY, TIME = "sequence", "at"
MIN_SUBJECTS = 5
LONG = 6  # characters of a parameter that is looked for among the real ones
TWIN = ("--key", KEY, "--time", TIME, "--subjects", "2048")
FAMILY = "network_log"
GENERATORS = ("transformer", "autoregressive", "markov")
PROMPTS = ("level=error", "level=WARN", "hour=18..20")  # and every system
PROMPTED = 64  # sequences drawn for each
GOALS = {
    "transformer": {
        "parsed_share": Goal("at least", 1.0),
        "prompts_obeyed": Goal("at least", 1.0),
        "template_tvd": Goal("at most", 0.05),
        "template_bigram_tvd": Goal("times floor", 1.5),
    }
}
Counted = Callable[[pd.DataFrame], Counter[Any]]
_FORMATS = {  # system: columns, joined by a space, and their format
    "Android": (("Date", "Time"), "%Y %m-%d %H:%M:%S.%f"),
    "Apache": (("Time",), "%a %b %d %H:%M:%S %Y"),
    "BGL": (("Time",), "%Y-%m-%d-%H.%M.%S.%f"),
    "HDFS": (("Date", "Time"), "%y%m%d %H%M%S"),
    "HPC": (("Time",), "epoch"),
    "Hadoop": (("Date", "Time"), "%Y-%m-%d %H:%M:%S,%f"),
    "HealthApp": (("Time",), "%Y%m%d-%H:%M:%S:%f"),
    "Linux": (("Month", "Date", "Time"), "%Y %b %d %H:%M:%S"),
    "Mac": (("Month", "Date", "Time"), "%Y %b %d %H:%M:%S"),
    "OpenSSH": (("Date", "Day", "Time"), "%Y %b %d %H:%M:%S"),
    "OpenStack": (("Date", "Time"), "%Y-%m-%d %H:%M:%S.%f"),
    "Proxifier": (("Time",), "%Y %m.%d %H:%M:%S"),
    "Spark": (("Date", "Time"), "%y/%m/%d %H:%M:%S"),
    "Thunderbird": (("Timestamp",), "epoch"),
    "Windows": (("Date", "Time"), "%Y-%m-%d %H:%M:%S"),
    "Zookeeper": (("Date", "Time"), "%Y-%m-%d %H:%M:%S,%f"),
}


def prepare(data_folder: Path, out_folder: Path) -> None:
    """Write `loghub_train.parquet` and `loghub_holdout.parquet`."""
    raw = pd.read_parquet(Path(data_folder) / SOURCE)
    parts = [_system(name, rows) for name, rows in raw.groupby("system", sort=True)]
    table = pd.concat(parts, ignore_index=True)
    number = table[KEY].str.rpartition("-")[2].astype(int)
    held = number % HELD_OUT == HELD_OUT - 1
    for part, rows in (("train", table[~held]), ("holdout", table[held])):
        rows.to_parquet(Path(out_folder) / f"loghub_{part}.parquet", index=False)


def _system(name: str, rows: pd.DataFrame) -> pd.DataFrame:
    """The sequences of one system, lines in the source's order."""
    rows = rows.sort_values("LineId", kind="stable")
    sequence = [f"{name}-{i // LINES}" for i in range(len(rows))]
    made = pd.DataFrame({KEY: sequence, "system": name, TIME: _times(name, rows).to_numpy()})
    made[TIME] = made.groupby(KEY, sort=False)[TIME].cummax()  # a few lines came late
    for column in ("Level", "Component"):
        made[column.lower()] = rows[column].to_numpy()
    made["line"] = rows["Content"].to_numpy()
    return made


def _times(name: str, rows: pd.DataFrame) -> pd.Series:
    columns, form = _FORMATS[name]
    text = rows[list(columns)].astype(str).agg(" ".join, axis=1)
    if form == "epoch":
        return pd.to_datetime(text.astype("int64"), unit="s").astype("datetime64[us]")
    if "%Y" in form[:2] and not text.iloc[0].startswith("20"):
        at = pd.to_datetime(f"{YEAR} " + text, format=form)
        years = (at.diff() < pd.Timedelta(days=-1)).cumsum()
        dated = (str(YEAR + y) + " " + t for y, t in zip(years, text, strict=True))
        return pd.Series(pd.to_datetime(list(dated), format=form)).astype("datetime64[us]")
    return pd.Series(pd.to_datetime(text.to_numpy(), format=form)).astype("datetime64[us]")


def score(train: Path, holdout: Path, synthetic: Path) -> dict[str, float]:
    """Numbers of a synthetic table; `floor` gives those of the holdout.

    Templates are those of train that `MIN_SUBJECTS` sequences hold, mined here anew. Where a number
    is of told lines, other lines are left out on both sides: what few sequences hold is not
    released, so a generator cannot draw it. Template and bigram distances are taken within each
    system and averaged by the system's real lines; `system_tvd` compares the systems themselves.

    `parsed_share` asks for the templates that the model of the run knows, those of them to which
    lines of `MIN_SUBJECTS` sequences of train read too: it learned from nine tenths of train, where
    mining parts some templates elsewhere (`parsed_anew_share` shows by how much). Without a model
    beside the table both are the same. `prompts_obeyed` is of fresh draws, see `_obeyed`.
    """
    real, made = pd.read_parquet(train), pd.read_parquet(synthetic)
    saved = _saved(synthetic)
    known = _known(real, saved) if saved else None
    templates = mine(real["line"].tolist(), pd.factorize(real[KEY])[0], MIN_SUBJECTS)
    real, made = _parsed(real, templates), _parsed(made, templates)
    told, drawn = (t[t["template"] >= 0] for t in (real, made))
    seen = set(_triples(told))
    anew = float((made["template"] >= 0).mean())
    numbers = {
        "parsed_share": float(made["line"].map(known).mean()) if known else anew,
        "parsed_anew_share": anew,
        "template_tvd": _within(told, drawn, _single),
        "template_bigram_tvd": _within(told, drawn, _bigrams),
        "template_tvd_with_untold": _within(real, made, _single),
        "template_bigram_tvd_with_untold": _within(real, made, _bigrams),
        "system_tvd": _tvd(Counter(real["system"]), Counter(made["system"])),
        "level_of_a_real_line_share": float(np.mean([t in seen for t in _triples(drawn)])),
        "lines_a_sequence": len(made) / made[KEY].nunique(),
        "real_ids_share": _copied(real, made),
    }
    prompts = [f"system={name}" for name in sorted(set(real["system"]))] + list(PROMPTS)
    return numbers | ({"prompts_obeyed": _obeyed(saved, prompts)} if saved else {})


def floor(train: Path, holdout: Path) -> dict[str, float]:
    """The numbers of the holdout in the synthetic table's place."""
    return score(train, holdout, holdout)


def _saved(synthetic: Path) -> Saved | None:
    """The model of the run that drew a table: `RUN.parquet` stands beside the folder `RUN`."""
    folder = Path(synthetic).with_suffix("") / "models" / "twin"
    return load_saved(folder) if folder.is_dir() else None


def _known(real: pd.DataFrame, saved: Saved) -> Callable[[str | None], bool]:
    """Whether a line reads as a template that the model knows and enough real sequences hold."""
    told = next(t for t in saved.texts.columns if isinstance(t, Text)).templates
    held: dict[int, set[str]] = {}
    for key, line in zip(real[KEY], real["line"], strict=True):
        held.setdefault(told.parse(line)[0], set()).add(key)
    enough = {i for i, keys in held.items() if i >= 0 and len(keys) >= MIN_SUBJECTS}
    return lambda line: line is not None and told.parse(line)[0] in enough


def _obeyed(saved: Saved, prompts: list[str]) -> float:
    """Share of lines that obey, the least of all prompts: `PROMPTED` sequences are drawn for each.

    The model draws them as it is, but in blocks of so many sequences.
    """
    model: Any = saved.model
    if hasattr(model, "base"):
        model = replace(model, base=replace(model.base, block_size=PROMPTED))
    else:
        model = replace(model, block_size=PROMPTED)
    drawer = ModelDrawer(replace(saved, model=model))
    least = 1.0
    for prompt in prompts:
        condition = Condition.parse([prompt], saved.schema)
        records, _ = drawer.conditioned(condition).draw(0, PROMPTED, 1)
        field, _, value = prompt.partition("=")
        if field == "hour":
            low, _, high = value.partition("..")
            obeys = pd.Series(records.columns[TIME]).dt.hour.between(int(low), int(high))
        else:
            obeys = pd.Series(records.columns[field].texts()) == value
        some = bool((records.lengths > 0).all()) and "line" in records.columns
        least = min(least, float(obeys.mean()) if some else 0.0)
    return least


def _parsed(table: pd.DataFrame, templates: Templates) -> pd.DataFrame:
    table = table.sort_values([KEY, TIME], kind="stable")
    read = [templates.parse(line) for line in table["line"]]
    return table.assign(template=[t for t, _ in read], values=[v for _, v in read])


def _within(real: pd.DataFrame, made: pd.DataFrame, counted: Counted) -> float:
    """The distance within each system, averaged by the system's real lines; 1 where it is gone."""
    total = 0.0
    for system, rows in real.groupby("system"):
        other = counted(made[made["system"] == system])
        total += len(rows) / len(real) * (_tvd(counted(rows), other) if other else 1.0)
    return total


def _single(table: pd.DataFrame) -> Counter[Any]:
    return Counter(table["template"].tolist())


def _bigrams(table: pd.DataFrame) -> Counter[Any]:
    same = (table[KEY] == table[KEY].shift()).to_numpy()
    pairs = zip(table["template"].shift(), table["template"], strict=True)
    return Counter(p for p, s in zip(pairs, same, strict=True) if s)


def _triples(table: pd.DataFrame) -> list[Any]:
    return list(zip(table["system"], table["template"], table["level"].fillna(""), strict=True))


def _tvd(a: Counter[Any], b: Counter[Any]) -> float:
    left, right = sum(a.values()), sum(b.values())
    return sum(abs(a[k] / left - b[k] / right) for k in {*a, *b}) / 2


def _copied(real: pd.DataFrame, table: pd.DataFrame) -> float:
    """Share of long parameters that are real ones of one to `MIN_SUBJECTS` - 1 sequences."""
    held: dict[str, set[str]] = {}
    for key, values in zip(real[KEY], real["values"], strict=True):
        for value in values:
            held.setdefault(value, set()).add(key)
    long = [v for values in table["values"] for v in values if len(v) >= LONG]
    few = [0 < len(held.get(v, ())) < MIN_SUBJECTS for v in long]
    return float(np.mean(few)) if few else 0.0
