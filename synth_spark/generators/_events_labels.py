"""From ranks to labels for whole subjects: known ones, rare ones and ids made anew."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.category import Category
from synth_spark.core.batch import Coded
from synth_spark.generators._events_coder import RANKS, Coder, EventColumn
from synth_spark.generators._events_evidence import Said
from synth_spark.generators._events_identity import Identity


def decode_ranked(
    column: EventColumn,
    coder: Coder,
    identity: Identity,
    tokens: NDArray[np.int32],
    offsets: NDArray[np.int64],
    seconds: NDArray[np.float64],
    subjects_before: int,
    rng: np.random.Generator,
    said: Said | None = None,
) -> Coded:
    """Labels of a ranked column for whole subjects.

    Args:
        column: The column.
        coder: How the records are coded.
        identity: What was learned of its labels.
        tokens: Ranks, shape (rows,).
        offsets: Rows of each subject, shape (subjects + 1,).
        seconds: Time of each event, shape (rows,).
        subjects_before: Number of the block's first subject, for labels made up here.
        rng: The block's random numbers.
        said: What the subjects say of the labels; None: nothing.

    Returns:
        The labels. (Places have a module of their own, `_events_places.py`.)
    """
    subjects = len(offsets) - 1
    owners = np.repeat(np.arange(subjects), np.diff(offsets))
    other = identity.others(tokens, offsets, seconds, rng)
    number = np.where(tokens < RANKS, tokens, RANKS + other)  # the subject's own numbering
    gone = tokens == column.missing
    if column.codec is None:
        return made_up(number, gone, owners, subjects_before, "c")
    labels = identity.labels(subjects, rng, said)
    drawn = labels[owners, np.minimum(tokens, RANKS - 1)]
    key = owners * (int(number.max(initial=0)) + 1) + number
    _, one, inverse = np.unique(key, return_index=True, return_inverse=True)
    inverse = inverse.ravel()
    wild = identity.wild(
        owners[one], number[one], np.bincount(inverse), labels, rng,
        None if said is None else said.subject,
    )[inverse]  # fmt: skip
    label = np.where(tokens == RANKS, wild, drawn)
    return labelled(column.codec, label, gone, inverse, rng)


def labelled(
    codec: Category,
    label: NDArray[np.int64],
    gone: NDArray[np.bool_],
    inverse: NDArray[np.int64],
    rng: np.random.Generator,
) -> Coded:
    """Labels of tokens; a missing label (none stands behind the rank) is the top one.

    Rare labels are a subject's own: each of its values that is rare is one made-up label.
    """
    tokens = np.where(label == codec.missing_token, 0, label).astype(np.int32)
    of_value = rng.random(int(inverse.max(initial=-1)) + 1)
    coded = codec.decode(tokens, of_value[inverse])
    return Coded(np.where(gone, -1, coded.codes).astype(np.int32), coded.labels)


def made_up(
    number: NDArray[np.int64],
    gone: NDArray[np.bool_],
    owners: NDArray[np.int64],
    subjects_before: int,
    prefix: str,
) -> Coded:
    """Fresh labels such as "c17-3": the third other party of subject 17."""
    width = int(number.max(initial=0)) + 1
    keys, codes = np.unique(owners * width + number, return_inverse=True)
    labels = tuple(f"{prefix}{subjects_before + k // width}-{k % width}" for k in keys.tolist())
    return Coded(np.where(gone, -1, codes.ravel()).astype(np.int32), labels)
