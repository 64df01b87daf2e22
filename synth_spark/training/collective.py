"""Gangs of ranks that add their vectors: Horovod, torch.distributed, and one process alone.

The only file that imports Horovod. The loop reduces one flat vector a step, so no fusion of many
small tensors is needed. Nothing here knows Spark: `spark/ranks.py` sets the environment of a rank
and then calls `join`.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Literal

import torch

from synth_spark.core.ports import Collective
from synth_spark.errors import SynthError

Kind = Literal["horovod", "torch", "single"]


class NoCollectiveError(SynthError):
    """The library of the chosen collective is missing or was built without what we need."""

    code = "SYN-611"


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
    """Ranks joined by Horovod; the HOROVOD_* environment must be set before."""

    def __init__(self) -> None:
        try:
            import horovod.torch as hvd
        except ImportError as error:
            raise NoCollectiveError(
                "Horovod is not installed, or was built without PyTorch.",
                hint="`synth-spark doctor`, or fit.collective: torch",
                cause=str(error),
            ) from error
        if not (hvd.gloo_built() or hvd.nccl_built() or hvd.mpi_built()):
            raise NoCollectiveError(
                "This Horovod was built without Gloo, NCCL and MPI.", hint="`make setup` builds it"
            )
        self._hvd = hvd
        hvd.init()
        self.rank, self.size, self.local_rank = hvd.rank(), hvd.size(), hvd.local_rank()

    def sum(self, tensor: torch.Tensor, name: str) -> torch.Tensor:
        return self._hvd.allreduce_(tensor, name=name, op=self._hvd.Sum)

    def broadcast(self, tensor: torch.Tensor, name: str, root: int = 0) -> torch.Tensor:
        return self._hvd.broadcast_(tensor, root, name=name)

    def close(self) -> None:
        self._hvd.shutdown()


class TorchGang:
    """Ranks joined by torch.distributed: NCCL where every rank has a GPU, else Gloo.

    Reads MASTER_ADDR, MASTER_PORT, RANK, WORLD_SIZE and LOCAL_RANK.

    Args:
        timeout_s: How long a rank waits for the others before it gives up.
    """

    def __init__(self, timeout_s: float = 600.0) -> None:
        import torch.distributed as dist

        if not dist.is_available():
            raise NoCollectiveError("This torch was built without torch.distributed.")
        backend = "nccl" if torch.cuda.is_available() and dist.is_nccl_available() else "gloo"
        dist.init_process_group(backend, timeout=timedelta(seconds=timeout_s))
        self._dist = dist
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self.local_rank = int(os.environ.get("LOCAL_RANK", "0"))
        self._device = "cuda" if backend == "nccl" else "cpu"

    def sum(self, tensor: torch.Tensor, name: str) -> torch.Tensor:
        return self._through(tensor, lambda t: self._dist.all_reduce(t))

    def broadcast(self, tensor: torch.Tensor, name: str, root: int = 0) -> torch.Tensor:
        return self._through(tensor, lambda t: self._dist.broadcast(t, src=root))

    def _through(self, tensor: torch.Tensor, work) -> torch.Tensor:
        """NCCL moves GPU tensors only, so the few small CPU ones make a round trip."""
        there = tensor.to(self._device)
        work(there)
        return tensor if there is tensor else tensor.copy_(there)

    def close(self) -> None:
        if self._dist.is_initialized():
            self._dist.destroy_process_group()


def join(kind: Kind, timeout_s: float = 600.0) -> Collective:
    """Join the gang that the environment describes.

    Raises:
        NoCollectiveError: The library is missing (SYN-611).
    """
    if kind == "single":
        return Single()
    return HorovodGang() if kind == "horovod" else TorchGang(timeout_s)
