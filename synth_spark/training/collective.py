"""Gangs of ranks that add their vectors: Horovod, torch.distributed, and one process alone.

The only file that imports Horovod. The loop reduces one flat vector a step, so no fusion of many
small tensors is needed. Nothing here knows Spark: `training/rank.py` sets the environment of a
rank, opens the meeting point on rank 0 and then calls `join`.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Literal

import torch

from synth_spark.core.ports import Collective
from synth_spark.errors import SynthError
from synth_spark.training.places import Place

Kind = Literal["horovod", "torch", "single"]


class NoCollectiveError(SynthError):
    """The library of the chosen collective is missing or was built without what we need."""

    code = "SYN-611"


class RankLostError(SynthError):
    """Another rank of the gang died or could not be reached."""

    code = "SYN-612"


class Single:
    """One process: its sum is its own."""

    rank = 0
    size = 1
    local_rank = 0

    def sum(self, tensor: torch.Tensor, name: str) -> torch.Tensor:
        return tensor

    def broadcast(self, tensor: torch.Tensor, name: str, root: int = 0) -> torch.Tensor:
        return tensor

    def close(self) -> None:
        pass


class HorovodGang:
    """Ranks joined by Horovod; the HOROVOD_* environment must be set before.

    A Horovod that was built without CUDA copies a GPU's tensor without waiting for the copy before
    it sums; there we make the round trip ourselves.
    """

    def __init__(self) -> None:
        self._hvd = _horovod()
        try:
            self._hvd.init()
        except Exception as error:
            raise _lost("The ranks did not find each other.", error) from error
        self.rank, self.size = self._hvd.rank(), self._hvd.size()
        self.local_rank = self._hvd.local_rank()
        self._takes_gpus = bool(self._hvd.cuda_built())

    def sum(self, tensor: torch.Tensor, name: str) -> torch.Tensor:
        return self._through(
            tensor, lambda t: self._hvd.allreduce_(t, name=name, op=self._hvd.Sum), f"sum {name!r}"
        )

    def broadcast(self, tensor: torch.Tensor, name: str, root: int = 0) -> torch.Tensor:
        return self._through(
            tensor, lambda t: self._hvd.broadcast_(t, root, name=name), f"broadcast {name!r}"
        )

    def _through(
        self, tensor: torch.Tensor, work: Callable[[torch.Tensor], object], what: str
    ) -> torch.Tensor:
        there = tensor if self._takes_gpus else tensor.cpu()
        try:
            work(there)
        except Exception as error:
            raise _lost(f"The {what} broke off.", error) from error
        return tensor if there is tensor else tensor.copy_(there)

    def close(self) -> None:
        self._hvd.shutdown()


class TorchGang:
    """Ranks joined by torch.distributed: NCCL where the ranks have GPUs, else Gloo.

    Reads MASTER_ADDR, MASTER_PORT, RANK, WORLD_SIZE and LOCAL_RANK.

    Args:
        timeout_s: How long a rank waits for the others before it gives up.
    """

    def __init__(self, timeout_s: float = 600.0) -> None:
        import torch.distributed as dist

        if not dist.is_available():
            raise NoCollectiveError("This torch was built without torch.distributed.")
        given = bool(os.environ.get("CUDA_VISIBLE_DEVICES"))  # by the launcher, a GPU a rank
        nccl = given and torch.cuda.is_available() and dist.is_nccl_available()
        try:
            dist.init_process_group(
                "nccl" if nccl else "gloo", timeout=timedelta(seconds=timeout_s)
            )
        except Exception as error:
            raise _lost("The ranks did not find each other.", error) from error
        self._dist, self._device = dist, "cuda" if nccl else "cpu"
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self.local_rank = int(os.environ.get("LOCAL_RANK", "0"))

    def sum(self, tensor: torch.Tensor, name: str) -> torch.Tensor:
        return self._through(tensor, self._dist.all_reduce, name)

    def broadcast(self, tensor: torch.Tensor, name: str, root: int = 0) -> torch.Tensor:
        return self._through(tensor, lambda t: self._dist.broadcast(t, src=root), name)

    def _through(
        self, tensor: torch.Tensor, work: Callable[[torch.Tensor], object], name: str
    ) -> torch.Tensor:
        """NCCL moves GPU tensors and Gloo CPU ones; a tensor elsewhere makes a round trip."""
        there = tensor.to(self._device)
        try:
            work(there)
        except Exception as error:
            raise _lost(f"{name!r} broke off.", error) from error
        return tensor if there is tensor else tensor.copy_(there)

    def close(self) -> None:
        if self._dist.is_initialized():
            self._dist.destroy_process_group()


def join(kind: Kind, timeout_s: float = 600.0) -> Collective:
    """Join the gang that the environment describes.

    Raises:
        NoCollectiveError: The library is missing (SYN-611).
        RankLostError: The other ranks were not found in time (SYN-612).
    """
    if kind == "single":
        return Single()
    return HorovodGang() if kind == "horovod" else TorchGang(timeout_s)


def meeting_point(kind: Kind, gang: Sequence[Place], ip: str) -> tuple[str, Callable[[], None]]:
    """Open on rank 0 the server where the ranks find each other.

    It is plain and without a secret, so it listens on `ip` alone: loopback, or the interface of
    the cluster, never all of them.

    Returns:
        `ip:port`, and what closes the server.
    """
    if kind == "horovod":
        return _horovod_server(gang, ip)
    import torch.distributed as dist

    listening = socket.create_server((ip, 0))
    port = listening.getsockname()[1]
    # The store owns the descriptor from here on and closes it with itself.
    store = [dist.TCPStore(ip, port, len(gang), is_master=True, wait_for_workers=False,
                           master_listen_fd=listening.detach())]  # fmt: skip
    return f"{ip}:{port}", store.clear


def _horovod_server(gang: Sequence[Place], ip: str) -> tuple[str, Callable[[], None]]:
    _horovod()
    from horovod.runner.common.util.hosts import SlotInfo
    from horovod.runner.http.http_server import RendezvousHandler, RendezvousHTTPServer

    # Built from its parts: `RendezvousServer` would listen on every interface.
    server = RendezvousHTTPServer((ip, 0), RendezvousHandler, 0)
    server.daemon_threads = True
    server.init([
        SlotInfo(p.host, p.rank, p.local_rank, p.cross_rank, p.size, p.local_size, p.cross_size)
        for p in gang
    ])  # fmt: skip
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def close() -> None:
        server.shutdown()
        server.server_close()

    return f"{ip}:{server.server_address[1]}", close


def _horovod():  # the module; it has no types
    try:
        import horovod.torch as hvd
    except ImportError as error:
        raise NoCollectiveError(
            "Horovod is not installed, or was built without PyTorch.",
            hint="`synth-spark doctor`, or the collective `torch`", cause=str(error),
        ) from error  # fmt: skip
    if not hvd.gloo_built():
        raise NoCollectiveError(
            "This Horovod was built without Gloo.", hint="`make setup` builds it with Gloo"
        )
    return hvd


def _lost(what: str, error: Exception) -> RankLostError:
    return RankLostError(
        f"{what} Another rank died or could not be reached.",
        hint="the log of the executors; the run goes on from its last checkpoint",
        cause=str(error)[:500],
    )
