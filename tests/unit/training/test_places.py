"""Ranks, hosts and addresses of made-up gangs."""

from __future__ import annotations

import socket

import pytest

from synth_spark.training.places import (
    address_towards,
    horovod_environment,
    interface_of,
    own_address,
    places,
)

GANGS = {
    "one host": ["10.0.0.1:4000"] * 3,
    "two executors of one host": ["10.0.0.1:4000", "10.0.0.1:5000"],
    "two hosts in turn": ["a:1", "b:1", "a:1", "b:1"],
    "unequal slots": ["a:1", "a:1", "b:1", "a:2", "c:1", "c:9"],
    "first task on the smaller host": ["b:1", "a:1", "a:1", "a:1"],
}


@pytest.mark.parametrize("name", GANGS)
def test_ranks_count_as_in_horovods_own_launcher(name: str) -> None:
    hosts_of_horovod = pytest.importorskip("horovod.runner.common.util.hosts")
    gang = places(GANGS[name])
    order = list(dict.fromkeys(a.split(":")[0] for a in GANGS[name]))
    listed = ",".join(f"{h}:{sum(a.startswith(h + ':') for a in GANGS[name])}" for h in order)
    slots = hosts_of_horovod.get_host_assignments(hosts_of_horovod.parse_hosts(listed), len(gang))
    expected = {
        s.rank: (s.hostname, s.local_rank, s.local_size, s.cross_rank, s.cross_size) for s in slots
    }
    got = {p.rank: (p.host, p.local_rank, p.local_size, p.cross_rank, p.cross_size) for p in gang}
    assert got == expected


@pytest.mark.parametrize("name", GANGS)
def test_every_rank_is_given_once_and_the_first_task_is_rank_0(name: str) -> None:
    gang = places(GANGS[name])
    assert sorted(p.rank for p in gang) == list(range(len(gang)))
    assert gang[0].rank == gang[0].local_rank == gang[0].cross_rank == 0
    assert {p.size for p in gang} == {len(gang)}


def test_unequal_hosts_by_hand() -> None:
    gang = places(["a:1", "b:1", "a:1"])
    assert [(p.rank, p.local_rank, p.local_size, p.cross_rank, p.cross_size) for p in gang] == [
        (0, 0, 2, 0, 2),
        (2, 0, 1, 1, 2),
        (1, 1, 2, 0, 1),
    ]


def test_a_gang_on_one_host_meets_on_loopback() -> None:
    gang = places(["10.9.9.9:1", "10.9.9.9:2"])
    assert own_address(gang, gang[1]) == "127.0.0.1"


def test_a_gang_on_two_hosts_meets_on_the_interface_that_leads_to_the_other() -> None:
    gang = places(["127.0.0.1:1", "127.0.0.2:1"])  # both lead over loopback
    assert own_address(gang, gang[0]) == address_towards("127.0.0.2")
    assert own_address(gang, gang[0]).startswith("127.")


def test_the_interface_of_an_address() -> None:
    assert interface_of("127.0.0.1") in {name for _, name in socket.if_nameindex()}
    assert interface_of("203.0.113.77") == ""


def test_the_environment_names_the_server_and_the_place() -> None:
    place = places(["a:1", "b:1"])[1]
    found = horovod_environment(place, "10.0.0.1:4711", "127.0.0.1", 90.0)
    assert found["HOROVOD_RANK"] == found["HOROVOD_CROSS_RANK"] == "1"
    assert found["HOROVOD_LOCAL_RANK"] == "0"
    assert found["HOROVOD_GLOO_RENDEZVOUS_ADDR"] == "10.0.0.1"
    assert found["HOROVOD_GLOO_RENDEZVOUS_PORT"] == "4711"
    assert found["HOROVOD_GLOO_TIMEOUT_SECONDS"] == "90"
