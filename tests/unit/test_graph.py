"""`canwharf graph`: drawings that others can show."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from canwharf.docker.names import Names
from canwharf.kernel.link import Link
from canwharf.operator import mermaid, svg
from canwharf.operator.drawing import Drawing, draw
from tests.fake.daemon import Daemon
from tests.fake.kernel import FakeKernel
from tests.unit.test_status import busy, seen

__all__ = ["busy"]

NAMES = Names({"n1": "bus0", "n2": "bus1"}, {"e1": "ecu1", "e2": 'a <"&#> b', "e3": "ecu1"})


@pytest.fixture
def drawing(daemon: Daemon, kernel: FakeKernel) -> Drawing:
    """Two buses, a container on both, one with a strange name, one that has not started."""
    daemon.service.create_network("n1", {"can.interface": "vcan0", "can.name": "can"})
    daemon.service.create_network("n2", {"can.interface": "vcan1", "can.name": "can"})
    for network, endpoint in (("n1", "e1"), ("n1", "e2"), ("n2", "e3")):
        daemon.run_container(network, endpoint)
    daemon.service.create_endpoint("n2", "e4", {})
    ends = [kernel.link(daemon.port("n1", endpoint)).index for endpoint in ("e1", "e2")]
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
        '    b0(["vcan0<br/>virtual<br/>host: sent 21, received 42"])\n'
        '    c0 <-->|"can0<br/>sent 21, received 42"| b0\n'
        '    c1 <-->|"can0<br/>sent 21, received 21"| b0\n'
        '    t0["a #lt;#quot;#amp;#35;#gt; b does not hear ecu1 '
        '(classic, FD, error frames)"] --- b0\n'
        "    style t0 stroke:#c00,color:#c00,fill:#fff\n"
        '    b1(["vcan1<br/>virtual, down<br/>host: sent 21, received 21"])\n'
        '    c0 <-->|"can0<br/>sent 21, received 21"| b1\n'
        '    c2 -.-|"no interface"| b1\n'
        '    t1["nothing goes to or from vcan1: it is down<br/>'
        "endpoint e4 hears nobody and is not heard: "
        'it has no interface; somebody deleted it, or it was never made"] --- b1\n'
        "    style t1 stroke:#c00,color:#c00,fill:#fff\n"
        "    style b1 stroke:#c00,stroke-dasharray:4"
    )


def test_svg(drawing: Drawing) -> None:
    """It is well-formed, says all of the same, and nothing lies outside."""
    root = ET.fromstring(svg.render(drawing))
    space = "{http://www.w3.org/2000/svg}"
    texts = [each.text for each in root.iter(f"{space}text")]
    for words in ("ecu1", 'a <"&#> b', "endpoint e4", "vcan0", "vcan1", "virtual, down"):
        assert texts.count(words) == 1
    assert 'a <"&#> b does not hear ecu1 (classic, FD, error frames)' in texts
    assert len(list(root.iter(f"{space}circle"))) == 4
    width, height = float(root.get("width", "0")), float(root.get("height", "0"))
    for each in root.iter(f"{space}text"):
        x, y, text = float(each.get("x", "0")), float(each.get("y", "0")), each.text or ""
        half = svg.WIDE * len(text) / (2 if each.get("text-anchor") else 1)
        assert 0 < x + half <= width, text
        assert 0 < y <= height


def test_a_name_that_no_document_may_have(busy: Daemon) -> None:
    """A container's interface may have any character in its name; the drawing stays well-formed."""
    (picture,) = (sight := seen(busy)).pictures
    inside = Link(3, "\033[<&")
    members = tuple(each._replace(inside=inside) for each in picture.members)
    drawn = draw(sight._replace(pictures=(picture._replace(members=members),)))
    texts = [each.text for each in ET.fromstring(svg.render(drawn)).iter()]
    assert texts.count("?[<&") == 2
    assert '|"?[#lt;#amp;<br/>' in mermaid.render(drawn)


def test_nothing_to_draw() -> None:
    assert mermaid.render(Drawing((), ())) == "flowchart TB"
    ET.fromstring(svg.render(Drawing((), ())))
