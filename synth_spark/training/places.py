"""Who is which rank, and on which address and card: pure functions of the tasks of a stage.

A gang needs, for every task, its rank over all, its rank on its host (local) and its rank among
the tasks with the same local rank on other hosts (cross). Ranks count host by host, as Horovod's
own launcher counts them, and the first task is rank 0.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass

LOOPBACK = "127.0.0.1"
_ADDRESS_OF_INTERFACE = 0x8915  # SIOCGIFADDR, netdevice(7)


# Between two of Horovod's rounds, in which ranks ask one another what is ready. At its default, 1,
# the rounds of two ranks on two cores take 5 to 10 % of the steps (`benchmarks/training_speed.py`).
CYCLE_MS = 4


@dataclass(frozen=True, slots=True)
class Place:
    """One rank's place in the gang."""

    host: str
    rank: int
    size: int
    local_rank: int
    local_size: int
    cross_rank: int
    cross_size: int


def places(addresses: Sequence[str]) -> tuple[Place, ...]:
    """The place of each task, in the order of the tasks.

    Args:
        addresses: `host:port` (or the host alone) of each task, by partition. Tasks of one
            executor share a port; executors of one host share the host.

    Example:
        >>> [(p.rank, p.local_rank, p.cross_rank) for p in places(["a:1", "b:1", "a:2"])]
        [(0, 0, 0), (2, 0, 1), (1, 1, 0)]
    """
    hosts = [host_of(a) for a in addresses]
    order = list(dict.fromkeys(hosts))
    sizes = {h: hosts.count(h) for h in order}
    first = {h: sum(sizes[g] for g in order[:i]) for i, h in enumerate(order)}
    out = []
    for task, host in enumerate(hosts):
        local = hosts[:task].count(host)
        peers = [h for h in order if sizes[h] > local]  # hosts that have such a local rank
        out.append(
            Place(host, first[host] + local, len(hosts), local, sizes[host],
                  peers.index(host), len(peers))
        )  # fmt: skip
    return tuple(out)


def host_of(address: str) -> str:
    """The host of `host:port`, `host`, `[v6]:port` or a bare v6 address.

    Example:
        >>> host_of("10.0.0.7:41233"), host_of("node-3"), host_of("[fe80::1]:7"), host_of("fe80::1")
        ('10.0.0.7', 'node-3', 'fe80::1', 'fe80::1')
    """
    if address.startswith("["):
        return address[1:].split("]", maxsplit=1)[0]
    return address.split(":", maxsplit=1)[0] if address.count(":") == 1 else address


def own_address(gang: Sequence[Place], place: Place) -> str:
    """The address that the other hosts of the gang reach this rank's machine by.

    Loopback when all tasks are on one host, so that nothing listens on a wire without need.
    """
    others = [p.host for p in gang if p.host != place.host]
    return address_towards(others[0]) if others else LOOPBACK


def address_towards(peer: str) -> str:
    """The address of the interface that packets to `peer` leave by; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((peer, 9))
        return str(probe.getsockname()[0])


def interface_of(address: str) -> str:
    """The name of the interface that holds `address` ("eth0"); empty where none does."""
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            asked = struct.pack("256s", name.encode()[:15])
            try:
                answer = fcntl.ioctl(probe.fileno(), _ADDRESS_OF_INTERFACE, asked)
            except OSError:  # an interface without an address
                continue
            if socket.inet_ntoa(answer[20:24]) == address:
                return name
    return ""


def horovod_environment(place: Place, server: str, own: str, timeout_s: float) -> dict[str, str]:
    """What `hvd.init()` reads.

    Args:
        place: Of this rank.
        server: `ip:port` of rank 0's rendezvous server.
        own: This machine's address on the network of the gang.
        timeout_s: How long a rank waits for the others.
    """
    ip, port = server.rsplit(":", 1)
    names = {
        "RANK": place.rank, "SIZE": place.size,
        "LOCAL_RANK": place.local_rank, "LOCAL_SIZE": place.local_size,
        "CROSS_RANK": place.cross_rank, "CROSS_SIZE": place.cross_size,
        "HOSTNAME": place.host, "CONTROLLER": "gloo", "CPU_OPERATIONS": "gloo",
        "GLOO_RENDEZVOUS_ADDR": ip, "GLOO_RENDEZVOUS_PORT": port,
        "GLOO_IFACE": interface_of(own), "GLOO_TIMEOUT_SECONDS": max(1, int(timeout_s)),
        "CYCLE_TIME": CYCLE_MS,
    }  # fmt: skip
    return {f"HOROVOD_{name}": str(value) for name, value in names.items()}


def torch_environment(place: Place, server: str, own: str) -> dict[str, str]:
    """What `TorchGang` and Gloo read."""
    ip, port = server.rsplit(":", 1)
    names = {
        "MASTER_ADDR": ip, "MASTER_PORT": port, "RANK": place.rank, "WORLD_SIZE": place.size,
        "LOCAL_RANK": place.local_rank, "GLOO_SOCKET_IFNAME": interface_of(own),
        "TORCHELASTIC_USE_AGENT_STORE": "True",  # rank 0 serves the store before it joins
    }  # fmt: skip
    return {name: str(value) for name, value in names.items()}
