"""A small world to train on: which side of a curve a point lies, as encoded subjects and shards."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from synth_spark.core.batch import Encoded, Records
from synth_spark.core.ports import Schedule, Train


def records(subjects: int = 600, seed: int = 0) -> Records:
    random = np.random.default_rng(seed)
    x = random.normal(size=(subjects, 4))
    y = (x[:, 0] * x[:, 1] + 0.3 * random.normal(size=subjects) > 0).astype(float)
    return Records.flat({**{c: x[:, i] for i, c in enumerate("abcd")}, "y": y})


def encode(found: Records) -> Encoded:
    x = np.stack([np.asarray(found.columns[c]) for c in "abcd"], 1).astype(np.float32)
    y = np.asarray(found.columns["y"])[:, None].astype(np.int32)
    return Encoded({"x": x, "y": y}, {}, found.offsets)


@dataclass(frozen=True)
class Curve:
    """A two-layer net; dies where it is told to."""

    schedule: Schedule = field(default_factory=Schedule)
    dropout: float = 0.0
    width: int = 16
    die: str = ""  # a marker file: the process dies after `die_after` losses, once
    die_after: int = 10**9
    die_always: bool = False
    wait_s: float = 0.0  # made slower, so that a test can step in
    note: str = ""  # a folder: each process leaves its pid and the GPUs it sees

    def build(self):
        import torch

        if self.note:
            seen = {"pid": os.getpid(), "gpus": os.environ.get("CUDA_VISIBLE_DEVICES")}
            Path(self.note, f"{os.getpid()}-{os.urandom(2).hex()}.json").write_text(
                json.dumps(seen)
            )
        return torch.nn.Sequential(
            torch.nn.Linear(4, self.width),
            torch.nn.ReLU(),
            torch.nn.Dropout(self.dropout),
            torch.nn.Linear(self.width, 2),
        )

    def examples(self, encoded):
        return {"x": encoded.context["x"], "y": encoded.context["y"][:, 0].astype(np.int64)}

    def loss(self, module, batch):
        import torch

        time.sleep(self.wait_s)
        if self.die:
            module.calls = getattr(module, "calls", 0) + 1
            if module.calls > self.die_after and (self.die_always or not Path(self.die).exists()):
                Path(self.die).write_text(str(os.getpid()))
                os._exit(17)
        return torch.nn.functional.cross_entropy(module(batch["x"]), batch["y"], reduction="none")


def train(**settings) -> Train:
    return Train(encode, Curve(**settings), "curve")


def write_shards(folder: Path, encoded: Encoded, valid: np.ndarray, files: int = 3) -> Path:
    """The format of `spark/shards.py`, written without Spark."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    lengths = np.diff(encoded.offsets)
    listed, layout = [], {"context": {}, "events": {}}
    for part in ("context", "events"):
        for name, a in getattr(encoded, part).items():
            layout[part][name] = {"dtype": str(a.dtype), "width": a.shape[1]}
    for i, cut in enumerate(np.array_split(np.arange(encoded.subjects), files)):
        some = encoded.take(cut)
        n = np.diff(some.offsets)
        columns = {"order": cut, "valid": valid[cut], "length": n.astype(np.int32)}
        for name, a in some.context.items():
            columns[f"c.{name}"] = pa.array(list(a))
        for name, a in some.events.items():
            cuts = zip(some.offsets[:-1], some.offsets[1:], strict=True)
            columns[f"e.{name}"] = pa.array([a[s:e].reshape(-1) for s, e in cuts])
        path = f"part-{i:05d}.parquet"
        pq.write_table(pa.table(columns), folder / path)
        listed.append(
            {"path": path, "subjects": len(cut), "rows": int(n.sum()),
             "valid_subjects": int(valid[cut].sum()), "valid_rows": int(n[valid[cut]].sum())}
        )  # fmt: skip
    manifest = {"version": 1, **layout, "subjects": encoded.subjects, "rows": int(lengths.sum()),
                "valid_subjects": int(valid.sum()), "valid_rows": int(lengths[valid].sum()),
                "files": listed, "digest": "made by hand"}  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def shards(folder: Path, subjects: int = 600, files: int = 3) -> Path:
    encoded = encode(records(subjects))
    return write_shards(folder, encoded, np.arange(subjects) % 10 == 0, files)
