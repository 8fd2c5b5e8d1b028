"""A bus across hosts, as it is told: what connects it, which hosts are seen, and what to do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from canwharf.bus.naming import Span
from canwharf.operator.doctor.finding import FAILURE, OK, WARN
from canwharf.operator.render import terminal, text
from canwharf.operator.render.json import to_dict
from canwharf.operator.status import Status
from canwharf.span.report import Heard, Report
from canwharf.span.state import Host, State, Told
from tests.fake.daemon import Daemon
from tests.unit.operator.doctor.well import WELL, told
from tests.unit.operator.seen import seen

S = 1_000_000_000  # nanoseconds
DAY = 24 * 3600  # seconds
NOW = 20_000 * DAY
OWN = Report("0.5", 1, "virtual", fd=True, clock=NOW * S)
HEARS = {"bench-1": Heard(9, 0, 0, S)}
OTHER = OWN._replace(hears=HEARS)
ANSWER = Told(1_500_000, -3_250_000, S, OTHER)
SEEN = Host(there=True, received=1234, age=S // 5, silence=S // 5, told=ANSWER)


def status_of(busy: Daemon, bridge: State | str | None) -> Status:
    """A status with one bus, whose span is bench7."""
    status = seen(busy)
    report = status.reports[0]._replace(span=Span("bench7", 0))
    spanned = {} if bridge is None else {report.interface: bridge}
    return status._replace(reports=(report,), spanned=spanned)


def state(**hosts: Host) -> State:
    named = {name.replace("_", "-"): host for name, host in hosts.items()}
    return State("bench-1", "bench7", "vcan0", OWN, {"sent": 5}, named)


def bus(status: Status) -> dict[str, Any]:
    (found,) = json.loads(json.dumps(to_dict(status)))["buses"]
    assert isinstance(found, dict)
    return found


def shown(status: Status) -> list[str]:
    return text.render(status, terminal.plain).splitlines()


def test_the_hosts_of_a_span_are_shown(busy: Daemon) -> None:
    gone = Host(received=7, lost=3, stale=2, silence=60 * S, age=61 * S)
    status = status_of(busy, state(bench_2=SEEN, bench_3=gone, bench_4=Host(linked=True)))
    lines = shown(status)
    place = lines.index("  span bench7, by 'canwharf span' as bench-1: 1 of 3 other hosts well")
    assert lines[place + 1 : place + 5] == [
        "    host     state          frames  lost  too old    last  round trip     clock",
        "    bench-4  tells nothing       0     0        0       -           -         -",
        "    bench-3  gone                7     3        2  61.0 s           -         -",
        "    bench-2  well             1234     0        0   0.2 s      1.5 ms  -0.003 s",
    ]


def test_many_hosts_are_a_table_that_a_terminal_holds(busy: Daemon) -> None:
    """The worst comes first: of twenty, one does not hear this host, and another one has ended."""
    many = SEEN._replace(received=123_456_789, lost=4321, stale=17, age=7200 * S)
    hosts = {f"bench_{number}": many for number in range(10, 30)}
    hosts["bench_17"] = other(hears={})
    hosts["bench_28"] = other(apart="bench-29")
    hosts["bench_25"] = SEEN._replace(there=False, told=None)
    lines = shown(status_of(busy, state(**hosts)))
    place = lines.index("  span bench7, by 'canwharf span' as bench-1: 17 of 20 other hosts well")
    table = lines[place + 1 : place + 22]
    assert max(map(len, table)) <= 100
    first = [each.split()[0] for each in table[:5]]
    assert first == ["host", "bench-17", "bench-28", "bench-25", "bench-10"]
    assert "does not hear this host" in table[1]
    assert "keeps apart" in table[2]
    assert " 123456789  4321       17    2 h " in table[4]


def test_a_bus_that_is_kept_apart_is_said(busy: Daemon) -> None:
    apart = state(bench_2=other(kind="adapter"))
    apart = apart._replace(own=OWN._replace(kind="adapter", apart="bench-2"))
    status = status_of(busy, apart)
    words = "  it is kept apart: vcan0 hangs on one wire with the adapter of bench-2"
    assert words in shown(status)
    assert bus(status)["span"]["apart"] == "bench-2"
    (finding,) = told("spans", WELL._replace(status=status, span_unit="canwharf-span"))
    assert (finding.level, finding.fix) == (FAILURE, "systemctl restart canwharf-span")
    assert "Give one of the two buses no can.span" in finding.message


def test_two_adapters_of_one_span_are_named_and_no_fault(busy: Daemon) -> None:
    """That they hang on one wire is found by what both hear: without that, all may be well."""
    two = state(bench_2=other(kind="adapter"), bench_3=SEEN)
    status = status_of(busy, two._replace(own=OWN._replace(kind="adapter")))
    named, well = told("spans", WELL._replace(status=status))
    assert {named.level, well.level} == {OK}
    assert "vcan0 and the adapters of bench-2 are one bus by the span: no two" in named.message


def test_an_adapter_that_is_kept_apart_is_not_named_as_fine(busy: Daemon) -> None:
    hung = state(bench_2=other(kind="adapter", apart="bench-1"))
    status = status_of(busy, hung._replace(own=OWN._replace(kind="adapter")))
    (finding,) = told("spans", WELL._replace(status=status))
    assert finding.level == WARN


def test_the_hosts_of_a_span_for_a_program(busy: Daemon) -> None:
    span = bus(status_of(busy, state(bench_2=SEEN)))["span"]
    assert span == {
        "name": "bench7",
        "max_age_ms": None,
        "connected": True,
        "fault": None,
        "host": "bench-1",
        "apart": None,
        "second_pid": None,
        "certificate_end": None,
        "frames": {"sent": 5},
        "hosts": [
            {
                "name": "bench-2",
                "there": True,
                "linked": False,
                "hears_this_host": True,
                "frames_received": 1234,
                "frames_lost": 0,
                "frames_repeated": 0,
                "frames_too_old": 0,
                "last_frame_age_us": 200_000,
                "round_trip_us": 1_500,
                "clock_difference_us": -3_250,
                "canwharf": "0.5",
                "kind": "virtual",
                "bitrate": None,
                "dbitrate": None,
                "fd": True,
                "certificate_end": None,
                "apart": None,
                "uptime_us": 0,
            }
        ],
    }


def test_a_span_where_all_is_well(busy: Daemon) -> None:
    (finding,) = told("spans", WELL._replace(status=status_of(busy, state(bench_2=SEEN))))
    assert finding.level == OK
    assert finding.message == "vcan0 is one bus with those of bench-2, as bench7"


def test_a_service_that_tells_nothing_is_said(busy: Daemon) -> None:
    """It is frozen, or older than this."""
    status = status_of(busy, "it does not answer\x1b[2J")
    (line,) = [each for each in shown(status) if "span bench7" in each]
    assert "it does not answer" in line
    assert "\x1b" not in line
    assert bus(status)["span"]["fault"] == "it does not answer\x1b[2J"
    facts = WELL._replace(status=status)
    assert [each.fix for each in told("spans", facts)] == ["restart 'canwharf span'"]
    (finding,) = told("spans", facts._replace(span_unit="canwharf-span"))
    assert (finding.level, finding.fix) == (WARN, "systemctl restart canwharf-span")


def test_names_that_are_missing_are_mended_by_the_unit_of_this_driver(busy: Daemon) -> None:
    """A driver of a second name has one of its own."""
    status = status_of(busy, state(bench_2=SEEN)._replace(nameless="no answer in time"))
    facts = WELL._replace(status=status, span_unit="canwharf-rusty-span")
    (finding,) = told("spans", facts)
    assert finding.fix == "systemctl restart canwharf-rusty-span"


def test_a_bus_that_nothing_connects(busy: Daemon) -> None:
    """Containers on it hear each other as ever; that no other host is heard must be seen."""
    status = status_of(busy, None)
    assert "  span bench7, but no 'canwharf span' runs: no other host is heard" in shown(status)
    assert bus(status)["span"]["connected"] is False
    facts = WELL._replace(status=status)
    (finding,) = told("spans", facts)
    assert (finding.level, finding.fix) == (WARN, "canwharf span")
    facts = facts._replace(span_unit="canwharf-span")
    (finding,) = told("spans", facts)
    assert (finding.level, finding.fix) == (WARN, "systemctl enable --now canwharf-span")
    (finding,) = told("spans", facts._replace(span_set_up=False))
    assert (finding.level, finding.fix) == (WARN, "canwharf span init --help")
    assert "neither 'canwharf span init' nor 'join' was run" in finding.message
    (finding,) = told("spans", facts._replace(zenoh=False))
    assert (finding.level, finding.fix) == (WARN, "pip install 'canwharf[span]'")


def test_nothing_is_said_of_a_bus_without_one(busy: Daemon) -> None:
    status = seen(busy)
    assert "span" not in text.render(status, terminal.plain)
    assert {each["span"] for each in json.loads(json.dumps(to_dict(status)))["buses"]} == {None}
    (finding,) = told("spans", WELL._replace(status=status, zenoh=False))
    assert (finding.level, finding.fix) == (OK, "")


def other(**changes: Any) -> Host:  # noqa: ANN401 (a report's fields)
    """bench-2, of whose report this is different."""
    return SEEN._replace(told=ANSWER._replace(report=OTHER._replace(**changes)))


@pytest.mark.parametrize(
    ("bridge", "level", "words"),
    [
        (state(), WARN, "no other host is in bench7"),
        (state(bench_2=other(hears={})), FAILURE, "bench-2 does not hear this host"),
        (
            state(bench_2=other(hears={"bench-1": Heard(9, 0, 0, 60 * S)})),
            FAILURE,
            "bench-2 does not hear this host",
        ),
        (state(bench_2=SEEN._replace(told=None)), WARN, "bench-2 does not answer"),
        (state(bench_2=SEEN, bench_3=Host(linked=True)), WARN, "does not let bench-1 in"),
        (state(bench_2=SEEN, bench_3=Host(silence=S)), WARN, "bench-3 is gone"),
        (state(bench_2=SEEN._replace(foreign=1)), FAILURE, "two hosts are called bench-2"),
        (state(bench_2=SEEN._replace(lost=3)), WARN, "3 frames were lost on the way to vcan0"),
        (state(bench_2=SEEN._replace(stale=2)), WARN, "2 frames came later than can.span.max_age"),
        (
            state(bench_2=SEEN._replace(told=ANSWER._replace(difference=3600 * S))),
            WARN,
            "3600.000 s ahead: a recording of both hosts is out of order",
        ),
        (state(bench_2=other(apart="bench-3")), WARN, "bench-2 keeps apart from the span: its"),
        (state(bench_2=other(message=2)), FAILURE, "neither reads the other's"),
        (state(bench_2=other(canwharf="0.4")), WARN, "bench-2 has canwharf 0.4, this host 0.5"),
        (state(bench_2=other(fd=False)), WARN, "the bus of bench-2 takes no CAN FD frames"),
        (
            state(bench_2=other(bitrate=250_000))._replace(own=OWN._replace(bitrate=500_000)),
            WARN,
            "the bit rate of vcan0 is 500000 bit/s, that of bench-2 250000",
        ),
        (state(bench_2=other(certificate=NOW - 1)), FAILURE, "of bench-2 has ended"),
        (
            state(bench_2=SEEN)._replace(own=OWN._replace(certificate=NOW + 3 * DAY)),
            WARN,
            "of bench-1, this host, ends in 3 days",
        ),
        (
            state(bench_2=SEEN)._replace(own=OWN._replace(twin=True)),
            FAILURE,
            "another host is called bench-1, too",
        ),
        (
            state(bench_2=SEEN)._replace(rival=4711),
            WARN,
            "two 'canwharf span' run for vcan0: one connects it, and process 4711 waits",
        ),
        (
            state(bench_2=SEEN)._replace(nameless="Docker may not be asked"),
            WARN,
            "as 'endpoint …', as 'canwharf span' does not learn what containers are called: Docker",
        ),
        (state(bench_2=SEEN)._replace(rival=0), WARN, "and one in a container waits"),
    ],
)
def test_what_is_wrong_is_said_with_a_command(
    busy: Daemon, bridge: State, level: str, words: str
) -> None:
    (finding,) = told("spans", WELL._replace(status=status_of(busy, bridge)))
    assert finding.level == level
    assert words in finding.message
    assert finding.fix


@pytest.mark.parametrize("host", [Host(silence=S), other(hears={}), SEEN._replace(told=None)])
def test_what_is_to_be_done_on_another_host_names_it_and_no_login(busy: Daemon, host: Host) -> None:
    """A host's name in a span need not be one by which it is reached."""
    status = status_of(busy, state(bench_2=SEEN, bench_3=host))
    (finding,) = told("spans", WELL._replace(status=status))
    assert finding.fix.startswith("on bench-3: ")
    assert "ssh" not in finding.fix


@pytest.mark.parametrize(("version", "where"), [(0, "on bench-2"), (2, "here")])
def test_of_two_versions_of_messages_the_older_host_is_named(
    busy: Daemon, version: int, where: str
) -> None:
    status = status_of(busy, state(bench_2=other(message=version)))
    (finding,) = told("spans", WELL._replace(status=status))
    assert finding.fix == f"upgrade canwharf {where}"


def test_a_host_of_another_span_of_this_host_is_no_fault(busy: Daemon) -> None:
    """It is connected, and has no bus with this one."""
    first, second = status_of(busy, None).reports[0], seen(busy).reports[0]
    second = second._replace(interface="vcan1", span=Span("y", 0))
    there = state(bench_2=SEEN, bench_3=SEEN)
    status = status_of(busy, None)._replace(
        reports=(first, second),
        spanned={
            first.interface: there,
            "vcan1": there._replace(
                interface="vcan1", hosts={"bench-2": SEEN, "bench-3": Host(linked=True)}
            ),
        },
    )
    assert {each.level for each in told("spans", WELL._replace(status=status))} == {OK}


def test_frames_lost_by_a_small_buffer_name_the_limit(busy: Daemon) -> None:
    bridge = state(bench_2=SEEN)._replace(counts={"overrun": 4})
    facts = WELL._replace(status=status_of(busy, bridge), receive_buffer=212_992)
    (finding,) = told("spans", facts)
    assert "4 frames of vcan0 were lost" in finding.message
    assert "net.core.rmem_max=8388608" in finding.fix
    facts = facts._replace(span_unit="canwharf-span", receive_buffer=16 << 20)
    (finding,) = told("spans", facts)
    assert finding.fix == "journalctl -u canwharf-span"


def test_why_this_host_cannot_connect_is_said(busy: Daemon) -> None:
    facts = WELL._replace(
        status=status_of(busy, state()), unreached={"tls/192.0.2.1:7447": "Connection refused"}
    )
    found = told("spans", facts)
    words = "cannot connect to tls/192.0.2.1:7447 (connect in settings.toml): Connection refused"
    assert words in found[-1].message
    assert found[-1].fix == "on that host: canwharf doctor"
