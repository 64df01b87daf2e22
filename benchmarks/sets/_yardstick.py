"""The yardstick: splits, scores and floors of the sets that it knows, in an environment of its own.

The yardstick lives outside this repository. Where it is, and which Python runs it, is told by
`SYNTH_SPARK_BENCH` (default ../shared/bench) and `SYNTH_SPARK_BENCH_VENV` (default .venv-bench,
made on first use). `SYNTH_SPARK_BENCH_QUICK` leaves out mostlyai-qa's accuracy.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import Numbers

ROOT = Path(__file__).resolve().parents[2]
NEEDS = ("pandas", "pyarrow", "scikit-learn", "scipy", "sdmetrics", "mostlyai-qa")
RIVALS = ROOT / "benchmarks" / "rivals.json"
FLAT = {  # number -> where it stands in the yardstick's answer
    "c2st": "c2st_auc",
    "tstr": "tstr_auc",
    "broken": "rows_with_unseen_category_pair",
}
FLAT_REAL = {
    "c2st": "c2st_auc_real",
    "tstr": "trtr_auc",
    "broken": "rows_with_unseen_category_pair_real",
}
EVENTS = {
    "c2st_sequence": "c2st_sequence_auc",
    "c2st_event": "c2st_event_auc",
    "gap_ks": "ks_gap",
    "hour_tvd": "tvd_hour",
    "top_share_ks": "ks_seq_peer_top_share",
    "next_contact": "next_peer_top1_tstr",
    "back_in_time": "time_backwards_share",
    "grams_in_train": "gram4_in_train",
}
EVENTS_REAL = {
    **{k: f"{v}_real" for k, v in EVENTS.items()},
    "next_contact": "next_peer_top1_trtr",
    "back_in_time": "time_backwards_share_train",
}


def bench() -> Path:
    """The yardstick's folder."""
    return Path(os.environ.get("SYNTH_SPARK_BENCH", ROOT.parent / "shared" / "bench"))


def run(command: list[Any], **more: Any) -> None:
    """Run a command.

    Raises:
        SystemExit: It failed.
    """
    done = subprocess.run([str(c) for c in command], check=False, **more)
    if done.returncode:
        raise SystemExit(f"failed with {done.returncode}: {' '.join(map(str, command))}")


def python() -> Path:
    """The Python of the yardstick's own environment, made if it is not there."""
    folder = Path(os.environ.get("SYNTH_SPARK_BENCH_VENV", ROOT / ".venv-bench"))
    found = folder / "bin" / "python"
    if not (folder / ".complete").exists():
        run([sys.executable, "-m", "venv", folder])
        run([found, "-m", "pip", "install", "--quiet", *NEEDS])
        (folder / ".complete").touch()
    return found


def prepare(name: str, source: Path, out: Path) -> None:
    """Write the yardstick's own train and holdout of one of its sets."""
    run([python(), bench() / "prep.py", name, source, "--out", out])


def judged(train: Path, holdout: Path, synthetic: Path, *options: str) -> dict[str, Any]:
    """The yardstick's whole answer on one synthetic table."""
    quick = ["--no-qa"] if os.environ.get("SYNTH_SPARK_BENCH_QUICK") else []
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "answer.json"
        command = [python(), bench() / "yardstick.py", "--train", train, "--holdout", holdout]
        command += ["--synth", synthetic, "--json", result]
        run([*command, *dict.fromkeys([*options, *quick])], stdout=subprocess.DEVNULL)
        return dict(json.loads(result.read_text()))


def numbers(raw: Mapping[str, Any]) -> Numbers:
    """What is shown of an answer."""
    accuracy = (raw.get("mostlyai_qa") or {}).get("accuracy") or {}
    sequence = raw.get("sequence")
    if sequence is None:
        found = {"accuracy": accuracy.get("overall")}
        found |= {name: raw.get(place) for name, place in FLAT.items()}
        found["dcr_excess"] = (raw.get("dcr") or {}).get("dcr_excess")
    else:
        found = {"accuracy": accuracy.get("overall"), "coherence": accuracy.get("coherence")}
        found |= {name: sequence.get(place) for name, place in EVENTS.items()}
        found["dcr_excess"] = (sequence.get("sequence_dcr") or {}).get("dcr_excess")
    return {name: float(value) for name, value in found.items() if value is not None}


def floor(train: Path, holdout: Path, *options: str) -> Numbers:
    """The numbers of the holdout in the synthetic table's place.

    A nearest neighbour in the holdout is no measure there, so the distance to train has no floor.
    """
    raw = judged(train, holdout, holdout, *options)
    found = numbers(raw)
    found.pop("dcr_excess", None)
    real = EVENTS_REAL if "sequence" in raw else FLAT_REAL
    part = raw.get("sequence", raw)
    known = {name: part.get(place) for name, place in real.items()}
    return {**found, **{name: float(v) for name, v in known.items() if v is not None}}
