"""Loghub: 2,000 lines of each of 16 systems, in sequences of 50 lines of one system.

Every fifth sequence is held out. The times of the systems are brought into one column; where a
format has no year one is taken, and a date that jumps back begins a new year. Licence and paper:
Zhu et al., "Loghub: A Large Collection of System Log Datasets for AI-driven Log Analytics", ISSRE
2023, https://github.com/logpai/loghub.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from synth_spark.columns._text_mine import Templates, mine

SOURCE = "network/loghub_16_systems_2k.parquet"
LINES = 50  # of a sequence
HELD_OUT = 5  # every fifth sequence
YEAR = 2015  # where the source has none
KEY, TIME = "sequence", "at"
MIN_SUBJECTS = 5
_LONG = 6  # characters of a parameter that is looked for among the real ones
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


def prepare(data_folder: Path, out_folder: Path) -> dict[str, Path]:
    """Write `loghub_train.parquet` and `loghub_holdout.parquet`; returns their paths."""
    raw = pd.read_parquet(Path(data_folder) / SOURCE)
    parts = [_system(name, rows) for name, rows in raw.groupby("system", sort=True)]
    table = pd.concat(parts, ignore_index=True)
    number = table[KEY].str.rpartition("-")[2].astype(int)
    held = number % HELD_OUT == HELD_OUT - 1
    out = {}
    for part, rows in (("train", table[~held]), ("holdout", table[held])):
        out[part] = Path(out_folder) / f"loghub_{part}.parquet"
        rows.to_parquet(out[part], index=False)
    return out


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


def score(train: pd.DataFrame, holdout: pd.DataFrame, synthetic: pd.DataFrame) -> dict[str, Any]:
    """Numbers of the synthetic table, each beside that of the holdout (`_floor`).

    Templates are those of train that `MIN_SUBJECTS` sequences hold, mined here anew; all other
    lines count as one template more. `told_` leaves those out on all sides: what is not told
    cannot be drawn. Shapes: one row a line, columns as `prepare` writes them.
    """
    templates = mine(train["line"].tolist(), pd.factorize(train[KEY])[0], MIN_SUBJECTS)
    real, held, made = (_parsed(t, templates) for t in (train, holdout, synthetic))
    seen = set(_triples(real))
    out: dict[str, Any] = {"templates": len(templates)}
    for name, found in (("", made), ("_floor", held)):
        out |= {
            f"parsed_share{name}": _mean(t >= 0 for t in found["template"]),
            f"template_tvd{name}": _tvd(_pairs(real), _pairs(found)),
            f"template_told_tvd{name}": _tvd(_pairs(_told(real)), _pairs(_told(found))),
            f"bigram_tvd{name}": _tvd(_bigrams(real), _bigrams(found)),
            f"bigram_told_tvd{name}": _tvd(_bigrams(_told(real)), _bigrams(_told(found))),
            f"level_seen_share{name}": _mean(t in seen for t in _triples(_told(found))),
            f"length_mean{name}": len(found) / found[KEY].nunique(),
            f"real_long_parameters_share{name}": _copied(real, found),
        }
    return out


def _parsed(table: pd.DataFrame, templates: Templates) -> pd.DataFrame:
    table = table.sort_values([KEY, TIME], kind="stable")
    read = [templates.parse(line) for line in table["line"]]
    return table.assign(template=[t for t, _ in read], values=[v for _, v in read])


def _told(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["template"] >= 0]


def _pairs(table: pd.DataFrame) -> Counter[Any]:
    return Counter(zip(table["system"], table["template"], strict=True))


def _triples(table: pd.DataFrame) -> list[Any]:
    return list(zip(table["system"], table["template"], table["level"].fillna(""), strict=True))


def _bigrams(table: pd.DataFrame) -> Counter[Any]:
    same = (table[KEY] == table[KEY].shift()).to_numpy()
    pairs = zip(table["system"], table["template"].shift(), table["template"], strict=True)
    return Counter(p for p, s in zip(pairs, same, strict=True) if s)


def _tvd(a: Counter[Any], b: Counter[Any]) -> float:
    left, right = sum(a.values()), sum(b.values())
    return sum(abs(a[k] / left - b[k] / right) for k in {*a, *b}) / 2


def _mean(values: Iterable[bool]) -> float:
    return float(np.mean([bool(v) for v in values]))


def _copied(real: pd.DataFrame, table: pd.DataFrame) -> float:
    """Share of the long parameters that stand in fewer than MIN_SUBJECTS real sequences, but in one."""
    held: dict[str, set[str]] = {}
    for key, values in zip(real[KEY], real["values"], strict=True):
        for value in values:
            held.setdefault(value, set()).add(key)
    long = [v for values in table["values"] for v in values if len(v) >= _LONG]
    few = [0 < len(held.get(v, ())) < MIN_SUBJECTS for v in long]
    return float(np.mean(few)) if few else 0.0
