"""`canwharf filter --learn` on a bus across hosts: whose frames a container heard."""

from __future__ import annotations

import json
from contextlib import ExitStack

import pytest

from tests.kernel.seen import N, end, raw_listeners, send, start
from tests.kernel.site import Site
from tests.kernel.test_span import two_buses
from tests.kernel.test_span_processes import directory, heard  # noqa: F401 (a fixture)
from tests.kernel.test_span_recording import Pair, own, pair, verb  # noqa: F401 (fixtures)
from tests.world.host import wait_until


def test_what_another_host_sends_is_heard_under_its_sender_there(
    site: Site,
    stack: ExitStack,
    pair: Pair,  # noqa: F811
) -> None:
    """The host itself sent none of it, and the container may need it: it is in the list."""
    process = verb(site, stack, "filter", "bus0", "ecu1", "--learn", "1h", "--json")
    host, one, two = pair.near
    for sender, can_id in ((one, 0x100), (host, 0x200), (two, 0x300), (pair.far[0], 0x500)):
        send(sender, can_id)
    for can_id in (0x400, 0x401, 0x100):  # the last one is what the container sends, too
        send(pair.far[1], can_id)
    wait_until(lambda: heard(pair.far[1], one))
    status, out, err = end(process)
    assert (status, err) == (0, "")
    told = json.loads(out)
    assert told["sent"] == {"frames": 1, "ids": 1, "words": "100"}
    senders = {name: each["words"] for name, each in told["heard_from"].items()}
    assert senders == {
        "host": "200",
        "ecu2": "300",
        "b/host": "500",
        "b/gate": "100+400-401+7E0",
    }
    assert told["options"]["can.receive"] == "100+200+300+400-401+500+7E0"
    ((name, late, lost),) = ((each["host"], each["late"], each["lost"]) for each in told["hosts"])
    assert (name, late, lost) == ("b", 0, 0)


@pytest.mark.usefixtures("own")
def test_where_no_service_runs_it_says_whose_frames_cannot_be_told(
    site: Site, stack: ExitStack
) -> None:
    """It learns all the same."""
    members = two_buses(site, "linear")
    process = start(site, stack, "filter", "bus0", "ecu1", "--learn", "1h", "--json")
    last = site.port(N, "e2")
    wait_until(lambda: raw_listeners(last) > 0 or process.poll() is not None)
    send(members[0], 0x200)
    status, out, err = end(process)
    assert (status, json.loads(out)["heard_from"].keys()) == (0, {"host"})
    assert "vcan0: 'canwharf span', which connects it to other hosts, does not run" in err
    assert "shown as the host's" in err
