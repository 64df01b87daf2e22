"""A model as a folder: JSON, arrays in safetensors, a card and a checksum. Never pickle.

model.json           generator, schema, key format, facts; the tree of the model without its arrays
arrays.safetensors   the arrays, named a0, a1, ...
SHA256               the hash of both, which names the model
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from synth_spark.columns._texts import Texts
from synth_spark.columns.determined import Determined
from synth_spark.core.ports import Model
from synth_spark.core.schema import Schema
from synth_spark.core.shelf import GENERATORS
from synth_spark.core.wire import join, split
from synth_spark.errors import SynthError

VERSION = 21


class ModelFolderError(SynthError):
    """A folder does not hold a whole, unchanged model."""

    code = "SYN-702"


@dataclass(frozen=True, slots=True)
class Saved:
    """A model with all that is needed to draw a table from it."""

    model: Model
    generator: str
    schema: Schema
    identifiers: dict[str, Any]  # column or "#key" -> state of its identifier codec
    determined: Determined  # the columns that the model leaves out
    facts: dict[str, Any]
    sha256: str
    texts: Texts = field(default_factory=Texts)  # the log lines, written beside what is drawn


def save(
    folder: Path,
    model: Model,
    *,
    generator: str,
    schema: Schema,
    identifiers: dict[str, Any],
    facts: dict[str, Any],
    determined: Determined | None = None,
    texts: Texts | None = None,
) -> str:
    """Write a model, whole or not at all, and return its hash.

    The facts are not part of the hash: they may hold times.
    """
    from safetensors.numpy import save as to_bytes

    looked_up, lines = determined or Determined(), texts or Texts()
    parts = {"model": model.state(), "identifiers": identifiers}
    tree, arrays = split({**parts, "determined": looked_up.state(), "texts": lines.state()})
    head = {"version": VERSION, "generator": generator, "schema": schema.to_json(), "tree": tree}
    dtypes = [a.dtype.str for a in arrays]  # datetimes travel as integers
    shapes = [list(a.shape) for a in arrays]
    named = {f"a{i}": _storable(a) for i, a in enumerate(arrays)}
    core = json.dumps({**head, "dtypes": dtypes, "shapes": shapes}, sort_keys=True).encode()
    body = to_bytes(named)
    sha256 = hashlib.sha256(core + body).hexdigest()
    fresh = folder.with_name(folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    (fresh / "model.json").write_bytes(core)
    (fresh / "arrays.safetensors").write_bytes(body)
    (fresh / "SHA256").write_text(sha256 + "\n")
    card = {**facts, "generator": generator, "about": model.about(), "sha256": sha256}
    card["looked_up"] = looked_up.in_words()
    card["lines"] = lines.in_words()
    (fresh / "card.json").write_text(json.dumps(card, indent=1, default=str))
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    return sha256


def _storable(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """At least one-dimensional, contiguous, times as integers: what safetensors can hold."""
    plain = array.view(np.int64) if array.dtype.kind in "mM" else array
    return np.ascontiguousarray(np.atleast_1d(plain))


def load_saved(folder: str | Path) -> Saved:
    """Read a model folder.

    Raises:
        ModelFolderError: A file is missing, cut or changed, or the version is newer (SYN-702).
    """
    from safetensors.numpy import load as from_bytes

    folder = Path(folder)
    try:
        core = (folder / "model.json").read_bytes()
        body = (folder / "arrays.safetensors").read_bytes()
        sha256 = (folder / "SHA256").read_text().strip()
        card = json.loads((folder / "card.json").read_text())
    except (OSError, ValueError) as error:
        raise ModelFolderError(
            f"{folder} does not hold a whole model.", hint="fit again", cause=str(error)
        ) from error
    if hashlib.sha256(core + body).hexdigest() != sha256:
        raise ModelFolderError(
            f"The model in {folder} was changed after it was written.", hint="fit again"
        )
    head = json.loads(core)
    if head["version"] != VERSION:
        raise ModelFolderError(
            f"The model in {folder} has version {head['version']}; we read {VERSION}.",
            hint="update synth_spark" if head["version"] > VERSION else "fit again",
        )
    named = from_bytes(body)
    kinds = zip(head["dtypes"], head["shapes"], strict=True)
    arrays = [named[f"a{i}"].view(d).reshape(s) for i, (d, s) in enumerate(kinds)]
    tree = join(head["tree"], arrays)
    model = GENERATORS.get(head["generator"]).Model.from_state(tree["model"])
    schema = Schema.from_json(head["schema"])
    looked_up = Determined.from_state(tree["determined"])
    lines = Texts.from_state(tree.get("texts", []))
    return Saved(
        model, head["generator"], schema, tree["identifiers"], looked_up, card, sha256, lines
    )
