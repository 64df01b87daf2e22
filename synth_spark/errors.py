"""The base of all our errors, and the few that several rooms share.

A number never changes once released and has a page in docs/errors/; the wording may change.
Hundreds by room: 100 plans, 200 tables and records, 300 privacy, 400 metrics,
500 federation, 600 training, 700 generators and models, 800 the machine (Java, jars, disk).
"""

from __future__ import annotations


class SynthError(Exception):
    """Base of all our errors.

    `facts` holds the offending values, so tests and callers never parse the message.
    The message is kept apart from the code so that pickling (executor to driver)
    rebuilds the same error.
    """

    code = "SYN-000"

    def __init__(self, message: str, *, hint: str = "", **facts: object) -> None:
        super().__init__(message)
        self.hint = hint
        self.facts = facts

    def __str__(self) -> str:
        hint = f" Try: {self.hint}" if self.hint else ""
        return f"[{self.code}] {self.args[0]}{hint}"


class PlanError(SynthError):
    """A plan holds a key or a value that is not allowed."""

    code = "SYN-100"


class UnknownNameError(SynthError):
    """A plan names a plug-in that no file provides."""

    code = "SYN-101"


class EmptyTableError(SynthError):
    """A table has no rows where at least one is needed."""

    code = "SYN-201"


class TooFewSubjectsError(SynthError):
    """A table has fewer subjects than the step needs."""

    code = "SYN-202"


class NotForFamilyError(SynthError):
    """The generator cannot make records of this family."""

    code = "SYN-703"


class NotForShapeError(SynthError):
    """The generator cannot make records of this shape."""

    code = "SYN-701"
