"""Peak memory of this process, its JVM and its Python workers, looked at four times a second."""

from __future__ import annotations

import threading
from types import TracebackType

import psutil

MB = 2**20


class Peak:
    """`with Peak() as peak: ...` then `peak.mb`: the largest resident set seen, by role."""

    def __init__(self, every_s: float = 0.25) -> None:
        self.mb: dict[str, int] = {"driver_python": 0, "driver_jvm": 0, "worker": 0}
        self._every_s, self._stop = every_s, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        own = psutil.Process()
        while not self._stop.wait(self._every_s):
            self._note("driver_python", own)
            for child in own.children(recursive=True):
                try:
                    self._note("driver_jvm" if child.name() == "java" else "worker", child)
                except psutil.Error:
                    continue  # it ended between the two looks

    def _note(self, role: str, process: psutil.Process) -> None:
        self.mb[role] = max(self.mb[role], int(process.memory_info().rss / MB))
