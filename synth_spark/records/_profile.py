"""What a sample says about one column: its texts, numbers, times and how often values repeat."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.records._times import time_format_of

if TYPE_CHECKING:
    import pyarrow as pa

BLANKS = frozenset({"", "na", "n/a", "nan", "null", "none", "-", "--", "?", "\\n"})
_NUMBER = re.compile(r"[+-]?(?:0|[1-9]\d*|\d*(?=\.\d))(?:\.\d*)?(?:[eE][+-]?\d+)?")
COMMA_NUMBER = re.compile(r"[+-]?(?:\d{1,3}(?:\.\d{3})+|\d+)(?:,\d+)?")
THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?")  # 1,234.50
_HEX = re.compile(r"[0-9a-fA-F]{8,}")
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_PHONE = re.compile(r"\+?\d{7,15}")
SMALL = 2_000  # values that are looked at one by one


@dataclass(frozen=True, slots=True)
class Profile:
    """One column of a sample. Texts that mean "missing" count as missing in number columns only."""

    name: str
    spark_type: str
    rows: int
    missing: int  # nulls
    distinct: int  # values that are there; the whole source's count where given
    whole_rows: int  # rows of the source, of the sample where unknown
    codes: NDArray[np.int32] = field(repr=False)  # (rows,), place in `labels`, -1 missing
    labels: tuple[Any, ...] = field(repr=False)  # distinct values of the sample

    @property
    def base(self) -> str:
        """The type without its precision: decimal(10,2) is decimal."""
        return self.spark_type.partition("(")[0].partition("<")[0]

    @property
    def is_text(self) -> bool:
        return self.base in {"string", "char", "varchar"}

    @property
    def is_integer(self) -> bool:
        return self.base in {"tinyint", "smallint", "int", "bigint"}

    @property
    def is_number(self) -> bool:
        return self.is_integer or self.base in {"float", "double", "decimal"}

    @property
    def is_time(self) -> bool:
        return self.base in {"date", "timestamp", "timestamp_ntz"}

    @property
    def counts(self) -> NDArray[np.int64]:
        """Rows of each label, shape (labels,)."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.labels))

    @property
    def unique(self) -> bool:
        """Whether no value stands twice and none is missing."""
        in_sample = self.missing == 0 and self.rows > 1 and len(self.labels) == self.rows
        return in_sample and self.distinct >= 0.9 * self.whole_rows  # counts may be estimates

    @property
    def nearly_unique(self) -> bool:
        """Whether at most one value in twenty stands twice."""
        there = self.rows - self.missing
        in_sample = there >= 20 and len(self.labels) >= 0.95 * there
        return in_sample and self.distinct >= 0.9 * self.whole_rows * there / self.rows

    def numbers(self) -> NDArray[np.float64]:
        """The distinct values as numbers; NaN for a text that is none."""
        if self.is_number:
            return np.asarray([float(v) for v in self.labels], dtype=np.float64)
        found = [v.strip().replace("\u2212", "-") for v in self.labels]
        if self.decimal_comma:
            found = [v.replace(".", "").replace(",", ".") for v in found]
        return np.array([float(v) if _NUMBER.fullmatch(v) else np.nan for v in found])

    @property
    def decimal_comma(self) -> bool:
        """Whether texts are numbers such as 3,50 and 1.234,5, and none is one such as 3.5.

        1,234 alone may be a thousand: a comma with another number of digits behind it decides.
        """
        if not self.is_text:
            return False
        texts = [v.strip().replace("\u2212", "-") for v in self.labels]
        there = [v for v in texts if v.lower() not in BLANKS]
        commas = [v for v in there if "," in v]
        telling = any(len(v.rpartition(",")[2]) != 3 for v in commas)
        return telling and all(COMMA_NUMBER.fullmatch(v) for v in there)

    @property
    def decimals(self) -> int | None:
        """Decimals of all texts that are numbers, as of prices; None: not the same, or none."""
        point = "," if self.decimal_comma else "."
        good = ~np.isnan(self.numbers())
        texts = [v.strip() for v, ok in zip(self.labels, good.tolist(), strict=True) if ok]
        shown = {len(v.rpartition(point)[2]) if point in v else 0 for v in texts}
        plain = not any("e" in v.lower() for v in texts)
        return shown.pop() or None if plain and len(shown) == 1 and len(texts) > 1 else None

    def number_share(self) -> float:
        """Share of the rows, of those with a text that is not a blank, whose text is a number."""
        weights = self.counts * np.array([v.strip().lower() not in BLANKS for v in self.labels])
        good = ~np.isnan(self.numbers())
        return float(weights[good].sum() / weights.sum()) if weights.sum() else 0.0

    def blanks(self) -> int:
        """Rows whose text means "missing"."""
        marks = np.array([v.strip().lower() in BLANKS for v in self.labels], dtype=bool)
        return int(self.counts[marks].sum()) if self.is_text and len(self.labels) else 0

    def time_format(self) -> str:
        """The format that nearly all texts follow, "" for none; see `_times.py`."""
        texts = [v for v in self.labels[:SMALL] if v.strip().lower() not in BLANKS]
        return time_format_of(texts)

    def looks_like_id(self) -> str:
        """What kind of id nearly all texts look like: "hash", "uuid", "phone number" or ""."""
        texts = [v for v in self.labels[:SMALL] if v.strip()]
        if len(texts) < 5:
            return ""
        for word, pattern in (("uuid", _UUID), ("phone number", _PHONE), ("hash", _HEX)):
            if np.mean([bool(pattern.fullmatch(t)) for t in texts]) > 0.5:
                return word
        return ""


def profile(
    name: str,
    column: pa.ChunkedArray,
    spark_type: str,
    *,
    distinct: int | None = None,
    rows: int | None = None,
) -> Profile:
    """Measure one column of a sample; `distinct` and `rows` are of the source, where known."""
    import pyarrow as pa

    plain = column.combine_chunks()
    if isinstance(plain, pa.ChunkedArray):
        plain = plain.chunk(0) if plain.num_chunks else pa.array([], column.type)
    coded = plain if pa.types.is_dictionary(plain.type) else plain.dictionary_encode()
    codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    labels = tuple(coded.dictionary.to_pylist())
    if labels and isinstance(labels[0], float) and any(v != v for v in labels):  # noqa: PLR0124
        there = np.array([v == v for v in labels])  # noqa: PLR0124
        codes = np.append(np.where(there, np.cumsum(there) - 1, -1), -1)[codes].astype(np.int32)
        labels = tuple(v for v in labels if v == v)  # noqa: PLR0124
    seen = len(labels)
    return Profile(
        name=name,
        spark_type=spark_type,
        rows=len(codes),
        missing=int((codes < 0).sum()),
        distinct=max(seen, distinct if distinct is not None else seen),
        whole_rows=rows if rows is not None and distinct is not None else len(codes),
        codes=codes,
        labels=labels,
    )
