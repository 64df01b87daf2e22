"""The run folder: what a run has done, under which plan, so that it can go on or be done again.

plan.yaml            the plan that the model was made by, spelled out
sample-plan.yaml     the plan that the twin was drawn by, where it was drawn on its own
evaluate-plan.yaml   the plan that the twin was scored by, where it was scored on its own
progress.jsonl       one JSON object a line
steps/STEP.json      written when a step is complete: fingerprint, seconds, facts
records/ histories/ quarantine/    Delta tables of the ingest step
shards/ checkpoints/ models/       what fitting reads, its checkpoints, what it makes
twin/ baseline/      Delta tables of the sample step
report.json report.html
.before/             the last twin, until another is begun in its place
.lock                held by the run that is at work here; free again when its process ends
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth_spark.errors import SynthError

MARK = ".synth_spark_run"  # an empty file: this folder is ours to overwrite
LOCK = ".lock"
BEFORE = ".before"
DRAWN = "twin"  # there once a twin is begun
_OF_SAMPLING = (  # the twin last: while it is not there, what was put aside counts
    "steps/sample.json", "steps/evaluate.json", "sample-plan.yaml", "evaluate-plan.yaml",
    "given", "baseline", DRAWN,
)  # fmt: skip
_BEFORE_A_PLAN = {MARK, LOCK, "steps", "world"}  # what may be here before a run has begun
_NO_LOCKS = (errno.ENOTSUP, errno.ENOSYS, errno.ENOLCK)  # as on some mounted object stores


class NotARunError(SynthError):
    """The run folder holds files of somebody else."""

    code = "SYN-130"


class OtherPlanError(SynthError):
    """A run is to be resumed that was started under another plan."""

    code = "SYN-131"


class NothingToResumeError(SynthError):
    """A run is to be resumed, or a step done, and what it builds on is not there."""

    code = "SYN-132"


class FolderError(SynthError):
    """The run folder cannot be written."""

    code = "SYN-133"


class BusyRunError(SynthError):
    """Another process is at work in the run folder."""

    code = "SYN-137"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One run folder on a disk that the driver sees."""

    path: Path

    def open(self, plan_yaml: str | None) -> None:
        """Make the folder if need be and write the plan, if there is one to write yet.

        Raises:
            NotARunError: It is not empty and no run made it (SYN-130).
            FolderError: It cannot be written (SYN-133).
        """
        with _written(self.path):
            if self.path.is_dir() and any(self.path.iterdir()) and not (self.path / MARK).exists():
                raise NotARunError(
                    f"{self.path} is not empty and was not made by a run.",
                    hint="name another --run.folder",
                )
            (self.path / "steps").mkdir(parents=True, exist_ok=True)
            (self.path / MARK).touch()
            if plan_yaml is not None:
                write_text(self.path / "plan.yaml", plan_yaml)

    @contextmanager
    def occupied(self) -> Iterator[None]:
        """Make the folder if need be, and keep other runs out of it meanwhile.

        What is refused before there is a plan leaves no trace: a folder that was not there, or was
        empty, is so again. One that a run made before keeps all it holds.

        Raises:
            NotARunError: It is not empty and no run made it (SYN-130).
            FolderError: It cannot be written (SYN-133).
            BusyRunError: Another process holds it (SYN-137).
        """
        with _written(self.path):
            fresh = not (self.path / MARK).exists()
            missing = [p for p in (self.path, *self.path.parents) if not p.exists()]
        self.open(None)
        with self.locked():
            self.put_back()  # where a run was killed before it drew anything
            try:
                yield
            except BaseException:
                if fresh and {p.name for p in self.path.iterdir()} <= _BEFORE_A_PLAN:
                    self._take_back(missing)
                raise

    def _take_back(self, made: Sequence[Path]) -> None:
        """Empty the folder and remove those of `made`, it and the folders around it."""
        self.clear("steps", "world")
        for name in (MARK, LOCK):
            (self.path / name).unlink(missing_ok=True)
        with suppress(OSError):  # somebody else may have put something there meanwhile
            for path in made:
                path.rmdir()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs out of the folder meanwhile.

        The system holds the lock, not a file's being there: it is gone with the process, however
        that ends. Where the file system has no locks the run goes on without one.

        Raises:
            BusyRunError: Another process holds it (SYN-137).
        """
        with (self.path / LOCK).open("a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.seek(0)
                holder = file.read().strip()
                raise BusyRunError(
                    f"Another run is at work in {self.path} ({holder or 'just begun'}).",
                    hint="wait for it, or name another --run.folder (twin: --run-folder)",
                    path=str(self.path),
                    holder=holder,
                ) from error
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
            file.truncate(0)
            file.write(f"process {os.getpid()} on {platform.node()}")
            file.flush()
            yield

    def write_plan(self, first: str, plan_yaml: str) -> None:
        """Keep the plan of steps that begin with `first`.

        `plan.yaml` is what the model was made by. Drawing or scoring alone leaves it as it is, so
        that what is asked of one twin does not bear on the next.
        """
        if first in ("ingest", "fit"):
            self.open(plan_yaml)
        else:
            write_text(self.path / f"{first}-plan.yaml", plan_yaml)

    @contextmanager
    def replaced(self) -> Iterator[None]:
        """Put the last twin and what tells of it aside; it is back if none is begun instead."""
        with _written(self.path):
            for name in reversed(_OF_SAMPLING):
                if (self.path / name).exists():
                    (self.path / BEFORE / name).parent.mkdir(parents=True, exist_ok=True)
                    (self.path / name).rename(self.path / BEFORE / name)
        try:
            yield
        except BaseException:
            self.put_back()
            raise
        self.clear(BEFORE)

    def put_back(self) -> None:
        """Take back what `replaced` put aside, or drop it where another twin is begun."""
        aside = self.path / BEFORE
        if not (self.path / DRAWN).exists():
            for name in (n for n in _OF_SAMPLING if (aside / n).exists()):
                _remove(self.path / name)
                (aside / name).rename(self.path / name)
        self.clear(BEFORE)

    def step(self, name: str) -> dict[str, Any] | None:
        """What a complete step left behind; None when it is not complete."""
        file = self.path / "steps" / f"{name}.json"
        return json.loads(file.read_text()) if file.exists() else None

    def forget(self, names: Sequence[str]) -> None:
        """Take back that these steps are complete, with plans of their own, to do them again."""
        for name in names:
            (self.path / "steps" / f"{name}.json").unlink(missing_ok=True)
            (self.path / f"{name}-plan.yaml").unlink(missing_ok=True)

    def complete(self, name: str, fingerprint: str, seconds: float, facts: dict[str, Any]) -> None:
        """Note that a step is complete."""
        entry = {"fingerprint": fingerprint, "seconds": round(seconds, 3), "facts": facts}
        write_text(self.path / "steps" / f"{name}.json", json.dumps(entry, indent=1, default=str))

    def resumable(self, name: str, fingerprint: str) -> bool:
        """Whether a step is complete under this very plan.

        Raises:
            OtherPlanError: It is complete under another plan (SYN-131).
        """
        found = self.step(name)
        if found and found["fingerprint"] != fingerprint:
            raise OtherPlanError(
                f"{self.path} holds the step {name} of another plan.",
                hint="--run.resume never to do it again, or another --run.folder",
                step=name,
                found=found["fingerprint"],
                wanted=fingerprint,
            )
        return found is not None

    def need(self, name: str, fingerprint: str) -> dict[str, Any]:
        """The facts of a step that another one builds on.

        Raises:
            NothingToResumeError: It was not done here (SYN-132).
            OtherPlanError: It was done under another plan (SYN-131).
        """
        if not self.resumable(name, fingerprint):
            raise NothingToResumeError(
                f"The step {name} has not been done in {self.path}.",
                hint=f"synth-spark {name} first",
            )
        found = self.step(name)
        assert found is not None  # resumable said so
        return dict(found["facts"])

    def clear(self, *names: str) -> None:
        """Remove tables or folders that are about to be made again."""
        for name in names:
            shutil.rmtree(self.path / name, ignore_errors=True)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def _written(path: Path) -> Iterator[None]:
    """Name the run folder where it cannot be written."""
    try:
        yield
    except OSError as error:
        raise FolderError(
            f"{path} cannot be written: {error.strerror}.",
            hint="name a folder that you may write to",
            path=str(path),
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    handle, fresh = tempfile.mkstemp(dir=path.parent, prefix=path.name + ".")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        Path(fresh).chmod(0o644)
        Path(fresh).replace(path)
    except BaseException:
        Path(fresh).unlink(missing_ok=True)
        raise
