"""`canwharf graph`: drawings that others can show."""

from __future__ import annotations

import string
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canwharf.bus.report import Names
from canwharf.kernel.link import Link
from canwharf.operator.render import mermaid, svg
from canwharf.operator.render.layout import Bus, Connection, Drawing, draw
from tests.fake.daemon import Daemon
from tests.fake.kernel import FakeKernel
from tests.unit.operator.seen import seen

SPACE = "{http://www.w3.org/2000/svg}"
NAMES = Names({"n1": "bus0", "n2": "bus1"}, {"e1": "ecu1", "e2": 'a <"&#> b', "e3": "ecu1"})


@pytest.fixture
def drawing(daemon: Daemon, kernel: FakeKernel) -> Drawing:
    """Two buses, a container on both, one with a strange name, one that has not started."""
    daemon.service.create_network("n1", {"can.interface": "vcan0", "can.name": "can"})
    daemon.service.create_network("n2", {"can.interface": "vcan1", "can.name": "can"})
    for network, endpoint in (("n1", "e1"), ("n1", "e2"), ("n2", "e3")):
        daemon.run_container(network, endpoint)
    daemon.service.create_endpoint("n2", "e4", {})
    names = daemon.hub("vcan0")[1], daemon.port("n1", "e2")
    ends = [kernel.link(name).index for name in names]
    kernel.rules = [each for each in kernel.rules if [each.source, each.destination] != ends]
    kernel.set_up("vcan1", up=False)
    return draw(seen(daemon, NAMES))


def test_mermaid(drawing: Drawing) -> None:
    """A container on two buses is one box; names cannot break out of their quotes."""
    assert mermaid.render(drawing) == (
        "flowchart TB\n"
        '    c0["ecu1"]\n'
        '    c1["a #lt;#quot;#amp;#35;#gt; b"]\n'
        '    c2["endpoint e4"]\n'
        '    b0(["vcan0<br/>virtual<br/>networks: bus0<br/>host: sent 21, received 42"])\n'
        '    c0 <-->|"can0<br/>sent 21, received 42"| b0\n'
        '    c1 <-->|"can0<br/>sent 21, received 21"| b0\n'
        '    t0["no frames from the other containers reach a #lt;#quot;#amp;#35;#gt; b '
        '(classic, FD, error frames)"] --- b0\n'
        "    style t0 stroke:#c00,color:#c00,fill:#fff\n"
        '    b1(["vcan1<br/>virtual, down<br/>networks: bus1<br/>host: sent 21, received 21"])\n'
        '    c0 <-->|"can0<br/>sent 21, received 42"| b1\n'
        '    c2 -.-|"no interface"| b1\n'
        '    t1["nothing goes to or from vcan1: it is down<br/>'
        "endpoint e4 is not connected: "
        'it has no interface; it was deleted, or never made"] --- b1\n'
        "    style t1 stroke:#c00,color:#c00,fill:#fff\n"
        "    style b1 stroke:#c00,stroke-dasharray:4"
    )


def test_svg(drawing: Drawing) -> None:
    """It is well-formed, says all of the same, and nothing lies outside."""
    root = ET.fromstring(svg.render(drawing))
    texts = [each.text for each in root.iter(f"{SPACE}text")]
    for words in ("ecu1", 'a <"&#> b', "endpoint e4", "vcan0", "vcan1", "virtual, down"):
        assert texts.count(words) == 1
    assert (
        'no frames from the other containers reach a <"&#> b (classic, FD, error frames)' in texts
    )
    assert len(list(root.iter(f"{SPACE}circle"))) == 4
    for words in ("networks: bus0", "networks: bus1"):
        assert texts.count(words) == 1
    assert_inside(root)


def assert_inside(root: ET.Element) -> None:
    """Every text is in the picture, at its whole length."""
    width, height = float(root.get("width", "0")), float(root.get("height", "0"))
    for each in root.iter(f"{SPACE}text"):
        x, y, text = float(each.get("x", "0")), float(each.get("y", "0")), each.text or ""
        half = svg.WIDE * len(text) / (2 if each.get("text-anchor") else 1)
        assert 0 < x + half <= width, text
        assert 0 < y <= height


@given(
    st.lists(st.text(string.ascii_letters + "-_.", min_size=1, max_size=250), max_size=60),
    st.lists(st.integers(0, 4), min_size=60, max_size=60),
)
def test_it_is_as_wide_as_a_screen(names: list[str], buses: list[int]) -> None:
    """50 containers made a picture of 9345 units, which no screen shows as a whole."""
    boxes = tuple(f"{number}-{name}" for number, name in enumerate(names))
    frames = "sent 4294967295, received 4294967295"
    drawn = tuple(
        Bus(
            f"vcan{bus}",
            "virtual",
            frames,
            up=True,
            connections=tuple(
                Connection(box, "canabcdefghijkl", frames, connected=True)
                for box in range(len(boxes))
                if bus in (0, buses[box])
            ),
            problems=(f"{'x' * 250} receives no frames from {'y' * 250} (classic)",),
            networks=(f"network-{bus}-" + "n" * 90, "other"),
        )
        for bus in range(5)
    )
    root = ET.fromstring(svg.render(Drawing(boxes, drawn)))
    assert float(root.get("width", "0")) <= svg.WIDEST == 1600
    assert_inside(root)
    told = "".join(each.text or "" for each in root.iter(f"{SPACE}text"))
    for words in (*boxes, *(f"network-{bus}-" for bus in range(5)), "y" * 90):
        assert words in told  # nothing is left out
    connections = sum(len(bus.connections) for bus in drawn)
    assert len(list(root.iter(f"{SPACE}circle"))) == connections


def test_a_bus_that_goes_on_in_the_next_row_says_so() -> None:
    """Or it would be taken for another one; what is wrong with it is told once."""
    frames = "sent 1, received 2"
    ends = tuple(Connection(box, "can0", frames, connected=True) for box in range(50))
    bus = Bus("vcan0", "virtual", frames, up=True, connections=ends, problems=("oh",))
    boxes = tuple(f"ecu{number}" for number in range(50))
    root = ET.fromstring(svg.render(Drawing(boxes, (bus,))))
    texts = [each.text for each in root.iter(f"{SPACE}text")]
    assert texts.count("vcan0") == texts.count("the same bus") + 1 > 2
    assert (texts.count("oh"), texts.count("virtual")) == (1, 1)


def test_a_name_that_no_document_may_have(busy: Daemon) -> None:
    """A container's interface may have any character in its name; the drawing stays well-formed."""
    (report,) = (status := seen(busy)).reports
    inside = Link(3, "\033[<&")
    members = tuple(each._replace(container_link=inside) for each in report.members)
    drawn = draw(status._replace(reports=(report._replace(members=members),)))
    texts = [each.text for each in ET.fromstring(svg.render(drawn)).iter()]
    assert texts.count("?[<&") == 2
    assert '|"?[#lt;#amp;<br/>' in mermaid.render(drawn)


def test_nothing_to_draw() -> None:
    assert mermaid.render(Drawing((), ())) == "flowchart TB"
    ET.fromstring(svg.render(Drawing((), ())))
