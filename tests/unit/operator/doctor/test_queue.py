"""The kernel's queue: too short for the copies of frames on a bus of many containers."""

from __future__ import annotations

from canwharf.operator.doctor.finding import OK, WARN
from tests.fake.daemon import Daemon
from tests.unit.operator.doctor.well import WELL, told
from tests.unit.operator.seen import seen


def test_a_bus_with_more_containers_than_a_tenth_of_the_queue(daemon: Daemon) -> None:
    """Nothing else shows that frames are lost; the queue is made for a hundred frames at once."""
    daemon.service.create_network("n1", {"can.interface": "vcan0"})
    daemon.service.create_network("n2", {"can.interface": "vcan1"})
    daemon.run_container("n2", "alone")
    for number in range(5):
        daemon.run_container("n1", f"e{number}")
    facts = WELL._replace(status=seen(daemon))
    assert [each.level for each in told("queue", facts._replace(backlog=50))] == [OK]
    (finding,) = told("queue", facts._replace(backlog=49))
    assert finding.level == WARN
    assert "takes 49 packets" in finding.message
    assert "(5 on vcan0)" in finding.message
    path = "/etc/sysctl.d/90-can.conf"
    assert finding.fix == f"echo net.core.netdev_max_backlog=500 >{path} && sysctl -p {path}"
    assert not finding.safe, "--fix writes no setting of the machine's"


def test_nothing_is_said_of_what_is_not_known(daemon: Daemon) -> None:
    assert told("queue", WELL._replace(status=seen(daemon), backlog=0)) == []
    assert told("queue", WELL) == []
