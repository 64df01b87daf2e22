"""The ports: what a generator, a metric and a collective promise, and what a generator may ask for.

A generator learns by telling its story as a Python generator: it yields requests and is sent the
answers. The same story runs on arrays in a test, on Spark, and on federated silos; only the one who
answers differs (`core/local.py`, `spark/engine.py`):

    def learn(self, schema, params, seed):
        survey = yield Fold(partial(survey_state, schema), merge_surveys, "survey")
        sample = yield Take(subjects=20_000, rows=200_000)
        weights = yield Train(partial(encode, coder), Trainee(...))
        return MyModel(...)
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Encoded, Records
from synth_spark.core.conditions import Clause, Condition
from synth_spark.core.given import Among
from synth_spark.core.schema import Schema, Shape

if TYPE_CHECKING:
    import torch


# ---- what a learning generator may ask for ------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fold:
    """Summarise every partition of whole subjects and merge the states; answered with one state.

    `state` and `merge` are pickled to workers (module-level functions or partials of them); the
    state is a tree that `core/wire.py` can carry. `merge` may use up its left argument. The order
    of the merges is not fixed. The answer is None when there are no subjects.
    """

    state: Callable[[Records], Any]
    merge: Callable[[Any, Any], Any]
    title: str = "count"


@dataclass(frozen=True, slots=True)
class Take:
    """A random sample of whole subjects, answered with `Records` in memory.

    The sample is fixed by the records' content and the seed, not by partitions or ids. Both bounds
    hold; when all subjects fit, all come.
    """

    subjects: int = 20_000
    rows: int = 400_000


@dataclass(frozen=True, slots=True)
class Train:
    """Train a network on all subjects; answered with a `Trained`.

    `encode` (pickled to workers) turns whole subjects into arrays, which are written to shards once
    and then read by every rank.
    """

    encode: Callable[[Records], Encoded]
    trainee: Trainee
    name: str = "net"  # of the checkpoint folder


@dataclass(frozen=True, slots=True)
class Known:
    """No request but news, before the dear part of a story: what it can be asked for.

    `objection` says of a clause why the model will not draw under it, empty where it will; it knows
    how the columns are coded, which `RecordGenerator.objection` cannot. Answered with None.
    """

    objection: Callable[[Clause], str]


Request = Fold | Take | Train
Learning = Generator[Request | Known, Any, Any]  # returns a Model


# ---- training -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How a network is trained. The batch is over all ranks together."""

    batch_size: int = 256  # training examples, all ranks together
    max_epochs: int = 30
    max_minutes: float = 60.0
    learning_rate: float = 1e-3
    final_rate: float = 0.02  # share of the learning rate that is left at the end of the cosine
    warmup_steps: int = 50
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.1
    clip_norm: float = 0.0  # L2 norm of the gradient over all ranks; 0: no clipping
    ema: float = 0.99  # decay of the averaged weights that are scored and kept; 0: none
    valid_share: float = 0.1  # share of the subjects that the loss is checked on
    patience: int = 6  # epochs without a gain before stopping; 0: never stop early
    keep: Literal["best", "last"] = "best"  # which epoch's averaged weights are the answer
    score_first: bool = False  # the first weights are scored as epoch 0, and may be the answer
    check_whole: bool = False  # every rank checks all examples: the loss is no mean over them
    worse: float = 0.0  # stop where the checked loss is so many times the best; 0: never


class Trainee(Protocol):
    """A network to be trained; picklable, made on the driver, used on every rank.

    A trainee whose learning rate has another name in the plan says it as `rate_setting`.
    """

    schedule: Schedule

    def build(self) -> torch.nn.Module:
        """A new module; the loop has seeded torch before.

        Its buffer `steps`, if it has one, is told how many steps all ranks have taken.
        """

    def examples(self, encoded: Encoded) -> dict[str, NDArray[Any]]:
        """Training examples of whole subjects as row-aligned arrays.

        Called per shard, possibly more than once; the loop shuffles rows, not subjects.
        """

    def loss(self, module: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Nats of each example, shape (n,); the loop takes the mean."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What the loop gives back."""

    weights: dict[str, NDArray[Any]]  # the module's state dict, averaged where the schedule says so
    curve: tuple[
        dict[str, float], ...
    ]  # per epoch: epoch, train_nats, valid_nats, examples_per_s, elapsed_s
    examples: int  # training examples an epoch, over all ranks
    best_epoch: int
    stopped: str  # "epochs", "patience", "minutes", "worse"


class Collective(Protocol):
    """A gang of ranks that add their arrays; Horovod, torch.distributed or one process."""

    rank: int
    size: int
    local_rank: int

    def sum(self, tensor: torch.Tensor, name: str) -> torch.Tensor:
        """The sum over ranks, in place where possible; every rank calls it with the same name."""

    def broadcast(self, tensor: torch.Tensor, name: str, root: int = 0) -> torch.Tensor:
        """The root's values on every rank."""

    def close(self) -> None:
        """Leave the gang."""


# ---- generators and models ----------------------------------------------------------------------


class Model(Protocol):
    """What was learned. A synthetic row is a function of it, a seed and a number."""

    block_size: int  # subjects drawn together; fixed, so that a batch never depends on the cluster

    def sample(self, block: int, subjects: int, seed: int) -> Records:
        """Draw the first `subjects` subjects of one block (at most `block_size`).

        The draw of a subject does not depend on `subjects`: the model draws (or pads to) the whole
        block. Only `core/seeds.py` gives random numbers, keyed by the seed and the block.
        An other party that is itself a subject has the label `subject_label(its number)`.
        Subjects that are no persons (cells) may have names of the model's own, in the key's column.
        """

    def conditioned(self, condition: Condition) -> Model:
        """The same model under a condition: every subject that it draws holds all clauses.

        What comes back has the same `block_size` and draws by `sample` alone, a function of the
        model, the condition, the block and the seed. A draw costs a bounded number of steps:
        nothing is drawn again and again until it fits. Only asked for clauses that the
        generator's `objection` lets pass.

        Raises:
            ImpossibleConditionError: The model gives the condition no chance (SYN-711).
        """

    def state(self) -> dict[str, Any]:
        """A tree for `core/wire.py`, enough to rebuild the model."""

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The model that `state` came from."""

    def about(self) -> dict[str, Any]:
        """Facts for the model card: sizes, losses, what was cut or grouped. JSON types only.

        `notes`, a list of sentences, is what a person should know of this model: the run says them
        on the screen and in the report.
        """


class Completes(Protocol):
    """What fills the gaps of rows of a flat table that are known in part."""

    def complete(
        self, records: Records, seed: int, block: int = 0, among: Mapping[str, Among] | None = None
    ) -> Records:
        """The same rows, known cells as they were, every missing cell drawn given the row's others.

        A function of the rows, the model, the block and the seed. `among` bounds missing cells. A
        cell that cannot go with the row's others is kept all the same.
        """

    def bounds(self, name: str) -> bool:
        """Whether `among` may name the column."""

    def unknown(self, records: Records) -> dict[str, NDArray[np.bool_]]:
        """By column, the rows whose cell the model could never draw; each of shape (rows,)."""


@runtime_checkable
class FillsGaps(Protocol):
    """A generator whose models of some shapes have a `completer() -> Completes`."""

    fills: ClassVar[frozenset[Shape]]


class Tempers(Protocol):
    """A model that draws under a temperature and a nucleus, which may be changed."""

    temperature: float
    top_p: float

    def tempered(self, *, temperature: float = 1.0, top_p: float = 1.0) -> Any:
        """The same model under others."""


class RecordGenerator(Protocol):
    """A way of making records: one file in generators/, exported as GENERATOR."""

    shapes: ClassVar[frozenset[Shape]]  # the shapes that it can make
    min_subjects: ClassVar[int]  # fewer than this and the plan is refused (SYN-202); 0: none needed
    relates: ClassVar[bool]  # False: draws columns on their own, so none is looked up from another
    families: ClassVar[frozenset[str]]  # the record families that it can make; empty: all
    Params: ClassVar[type[Any]]  # a frozen keyword-only dataclass; every field has a default
    Model: ClassVar[type[Any]]

    def learn(self, schema: Schema, params: Any, seed: int) -> Learning:
        """Tell the story of the learning; returns the model."""

    def objection(self, schema: Schema, clause: Clause) -> str:
        """Why records of this schema cannot be drawn under the clause; empty if they can."""


@runtime_checkable
class AddsColumns(Protocol):
    """A generator whose records have columns that the source lacks, such as labels."""

    def made(self, schema: Schema, params: Any) -> Schema:
        """The schema of what its model draws: that of the records, and the added columns."""


@runtime_checkable
class Foretells(Protocol):
    """A generator that can tell, before it draws, what its settings come to among so many."""

    def check_reach(self, params: Any, subjects: int) -> None:
        """Refuse settings that would reach none of the subjects.

        Raises:
            SynthError: What is asked for would not be in the table at all.
        """

    def short(self, params: Any, subjects: int, rows: int) -> tuple[str, ...]:
        """Sentences on what came out smaller than it was asked for in a drawn table."""


def schema_made(kind: Any, schema: Schema, params: Any) -> Schema:
    """The schema of what a generator's model draws."""
    return kind.made(schema, params) if isinstance(kind, AddsColumns) else schema


# ---- metrics ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One number of one metric, with what it needs to be read.

    `value` is None when it could not be had, and `why` then says so; it is never NaN.
    """

    metric: str
    item: str  # what it is about: a column, "a × b", "all"
    value: float | None
    unit: str = "1"
    best: float = 0.0
    worst: float = 1.0
    rows: tuple[int, int] = (0, 0)  # real, synthetic
    why: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)  # what a picture needs; JSON types


class Engine(Protocol):
    """Who answers a learning generator: arrays in memory or Spark."""

    def answer(self, request: Request) -> Any:
        """The answer to one request; see the requests' docstrings."""


def learn(story: Learning, engine: Engine, heard: Callable[[Known], None] | None = None) -> Any:
    """Run a story to its end and return the model.

    Args:
        story: What a generator's `learn` gave.
        engine: Answers its requests.
        heard: Is told the story's news, and may end it by raising.

    Example:
        >>> import numpy as np
        >>> from synth_spark.core.local import Local
        >>> def story():
        ...     n = yield Fold(lambda r: r.subjects, lambda a, b: a + b)
        ...     return f"{n} subjects"
        >>> learn(story(), Local(Records.flat({"x": np.zeros(5)}), parts=2))
        '5 subjects'
    """
    answer = None
    while True:
        try:
            request = story.send(answer)
        except StopIteration as end:
            return end.value
        if isinstance(request, Known):
            answer = None
            if heard is not None:
                heard(request)
            continue
        answer = engine.answer(request)
