"""The page: whole without a network, every number with its neighbours, the verdict in words."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synth_spark.core.batch import Coded, Records
from synth_spark.core.local import Local
from synth_spark.metrics import _example as example
from synth_spark.metrics.base import Evaluation, Line
from synth_spark.pipelines.evaluate import evaluate
from synth_spark.report import render, to_json, words, write
from synth_spark.report.page import FactsNotPlainError, ReportNotWrittenError
from synth_spark.report.reference import page as reference

ROOT = Path(__file__).parents[3]
FACTS: dict[str, Any] = {
    "title": "Made-up subscribers",
    "generator": "markov",
    "seed": 7,
    "wall_s": 75.25,
    "ingest": {
        "rows_in": 703,
        "kept": 600,
        "quarantined": 3,
        "repeats": 100,
        "reasons": {"no time": 3},
    },
    "grouped": ["3 labels of 'region' became RARE."],
    "run": {"plan hash": "ab12"},
    "not_tested": ["Identifiers."],
}


def shuffled(records: Records) -> Records:
    rng = np.random.default_rng(0)
    columns = {
        n: v if n == "at" else v[rng.permutation(records.rows)] for n, v in records.columns.items()
    }
    return Records(columns, records.offsets)


@pytest.fixture(scope="module")
def flat() -> Evaluation:
    names = ("train", "holdout", "synthetic")
    tables = {k: example.flat(i + 1) for i, k in enumerate(names)}
    tables["independent"] = shuffled(example.flat(9))
    return evaluate(example.FLAT, {k: Local(v) for k, v in tables.items()})


@pytest.fixture(scope="module")
def events() -> Evaluation:
    names = ("train", "holdout", "synthetic")
    tables = {k: example.events(i + 1) for i, k in enumerate(names)}
    tables["independent"] = shuffled(example.events(9))
    return evaluate(example.EVENTS, {k: Local(v) for k, v in tables.items()})


class Tags(HTMLParser):
    """Collects open tags and what they point to."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [v or "" for k, v in attrs if k in ("src", "href", "action", "srcset")]
        if tag not in ("meta", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [v or "" for k, v in attrs if k in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("shape", ["flat", "events"])
def test_the_page_is_whole_and_asks_nobody(shape: str, request: pytest.FixtureRequest) -> None:
    text = render(request.getfixturevalue(shape), FACTS)
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert tags.links == ["data:,"]
    assert not re.search(r"url\(|@import|<script|https?://", text)
    assert len(text) < 2_000_000
    assert not re.search(r"\b(nan|NaN|None|inf)\b", text)


def test_the_first_screen_says_what_was_made_and_what_to_think(flat: Evaluation) -> None:
    head = render(flat, FACTS).split("</header>")[0]
    for text in ("Made-up subscribers", words.verdict(flat).head, "600", "markov", "75.2 s"):
        assert text in head


def test_what_the_model_says_of_itself_stands_on_the_first_screen(flat: Evaluation) -> None:
    said = "The codes tell 0.03 nats of a row."
    first = render(flat, {**FACTS, "model_notes": [said]}).partition("</header>")[0]
    assert said in first
    assert said not in render(flat, FACTS)


def test_every_headline_stands_beside_floor_and_independence(events: Evaluation) -> None:
    text = render(events, FACTS)
    for line in words.headline_metrics(events):
        for value in (line.value, line.floor, line.independence):
            assert words.number(value, line.unit) in text


def test_counts_of_ingest_are_shown_as_a_sum_and_a_wrong_sum_is_called_out(
    flat: Evaluation,
) -> None:
    assert "do not add up" not in render(flat, FACTS)
    wrong = {**FACTS, "ingest": {**FACTS["ingest"], "rows_in": 704}}
    assert "do not add up" in render(flat, wrong)


def test_a_page_without_facts_says_that_they_were_not_given(flat: Evaluation) -> None:
    assert "No ingest counts were given" in render(flat, {})


def test_events_that_were_cut_are_part_of_the_sum(flat: Evaluation) -> None:
    cut = {**FACTS, "ingest": {**FACTS["ingest"], "rows_in": 713, "cut": 10}}
    text = render(flat, cut)
    assert "10 cut from very long histories" in text
    assert "do not add up" not in text


def test_a_table_that_is_not_there_is_said_once() -> None:
    found = evaluate(
        example.FLAT, {"train": Local(example.flat(1)), "synthetic": Local(example.flat(3))}
    )
    text = render(found, {})
    assert text.count("because there is no holdout table") == 1
    assert text.count("because no table of the independent generator was made") == 1
    assert "reaches" not in words.verdict(found).points[0][1]


def test_facts_that_are_none_count_as_not_given(flat: Evaluation) -> None:
    keys = ("rows", "subjects", "wall_s", "made_at", "privacy", "grouped", "run")
    nothing = {**FACTS, **dict.fromkeys(keys), "timings_s": {"fit": None, "ingest": 3.25}}
    text = render(flat, nothing)
    assert "3.2 s" in text
    assert ">None<" not in text


def test_text_from_the_data_is_escaped(flat: Evaluation) -> None:
    evil = "<script>alert(1)</script>"
    tables = {k: example.flat(i) for i, k in enumerate(("train", "holdout", "synthetic"))}
    for records in tables.values():
        records.columns["plan"] = Coded(records.columns["plan"].codes, (evil, "b", "c"))  # type: ignore[union-attr]
    found = evaluate(example.FLAT, {k: Local(v) for k, v in tables.items()})
    assert "<script" not in render(found, {**FACTS, "title": evil})


def test_fresh_real_records_are_as_good_as_real(flat: Evaluation, events: Evaluation) -> None:
    assert words.verdict(flat).tone == "good"
    assert words.verdict(events).tone in ("good", "fair")


def verdict_of(synthetic: Records) -> words.Verdict:
    tables = {"train": example.flat(1), "holdout": example.flat(2), "synthetic": synthetic}
    tables["independent"] = shuffled(example.flat(9))
    return words.verdict(evaluate(example.FLAT, {k: Local(v) for k, v in tables.items()}))


def test_shuffled_columns_are_not_good_enough() -> None:
    assert verdict_of(shuffled(example.flat(3))).head.startswith("Not good enough")


def test_copies_are_not_to_be_shared() -> None:
    half = np.arange(300)
    mixed = Records.joined([example.flat(1).take(half), example.flat(3).take(half)])
    assert verdict_of(mixed).head.startswith("Do not share")


def copy_line(synthetic: tuple[float, float], holdout: tuple[float, float]) -> Line:
    detail = {"synthetic": list(synthetic), "holdout": list(holdout)}
    share = sum(synthetic) / 2
    return Line(
        metric="copies", item="all", value=share, floor=0.0, independence=None, unit="share",
        best=0.0, worst=1.0, rows=(100, 100), detail=detail,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("synthetic", "holdout", "many"),
    [
        ((0.0076, 0.0081), (0.0048, 0.0052), False),  # real rows of other subjects, by chance
        ((0.0004, 0.0006), (0.0, 0.0001), False),  # twice nothing is still nothing
        ((0.04, 0.06), (0.0, 0.005), True),
        ((0.16, 0.17), (0.09, 0.10), False),
        ((0.25, 0.26), (0.09, 0.10), True),
    ],
)
def test_more_copies_than_twice_chance_raise_the_alarm(
    synthetic: tuple[float, float], holdout: tuple[float, float], many: bool
) -> None:
    assert words.too_many(copy_line(synthetic, holdout)) is many


def test_the_twin_holds_the_verdict_and_the_facts(flat: Evaluation, tmp_path: Path) -> None:
    page, twin = write(tmp_path / "new", flat, FACTS)
    data = json.loads(twin.read_text())
    assert data["verdict"]["head"] in page.read_text()
    assert data["facts"] == FACTS
    assert Evaluation.from_json(data["evaluation"]).lines == flat.lines
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["report.html", "report.json"]


def test_facts_that_are_not_plain_are_refused(flat: Evaluation) -> None:
    with pytest.raises(FactsNotPlainError):
        to_json(flat, {"wall_s": float("nan")})


def test_a_folder_that_cannot_be_made_is_refused(flat: Evaluation, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportNotWrittenError):
        write(tmp_path / "file" / "run", flat, FACTS)


def test_the_reference_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "ref-metrics.md").read_text() == reference()


@pytest.mark.skipif(
    not shutil.which("chromium"), reason="there is no chromium to open the page with"
)
def test_nothing_is_wider_than_a_phone(events: Evaluation, tmp_path: Path) -> None:
    page, _ = write(tmp_path, events, FACTS)
    probe = (
        "<script>addEventListener('load',()=>document.title='width '"
        "+document.documentElement.scrollWidth)</script></body>"
    )
    page.write_text(page.read_text().replace("</body>", probe))
    frame = tmp_path / "frame.html"  # headless windows have a least width, frames have none
    frame.write_text(
        f"<body><iframe src='{page.name}' width=390 height=800></iframe><script>addEventListener("
        "'load',()=>setTimeout(()=>{document.title=frames[0].document.title},500))</script>"
    )
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    command += ["--allow-file-access-from-files", "--virtual-time-budget=3000", "--dump-dom"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", frame.as_uri()]
    text = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    found = re.search(r"<title>width (\d+)</title>", text)
    assert found is not None
    assert int(found[1]) <= 390
