"""An interface's other names, as `ip link property add` gives them."""

from __future__ import annotations

import pytest

from canwharf.bus import events
from canwharf.errors import ConflictError, OptionError
from canwharf.kernel import link
from tests.kernel.site import Site, make_vcans
from tests.kernel.wired import N
from tests.world.host import can_interfaces, ip, requests


def test_whose_a_name_is(site: Site) -> None:
    """Zephyr's habit; the kernel says only "File exists"."""
    make_vcans("vcan3")
    ip("link property add dev vcan3 altname zcan0 altname the-long-name-of-this-bus")
    with requests() as netlink:
        [found] = [each for each in link.links(netlink) if each.name == "vcan3"]
    assert set(found.altnames) == {"zcan0", "the-long-name-of-this-bus"}
    with pytest.raises(OptionError, match=r"zcan0: it is another name .* vcan3: give that one"):
        site.service.create_network(N, {"can.interface": "zcan0"})
    assert can_interfaces() == {"vcan3"}
    site.service.create_network(N, {"can.interface": "vcan3"})
    site.start(N, "e1", "e2")
    site.assert_whole("vcan3")


def test_a_name_that_is_given_while_the_daemon_runs(site: Site) -> None:
    """It is taken from the kernel's announcements, as is its end."""
    make_vcans("vcan3")
    site.daemon.reconciler.observe()
    ip("link property add dev vcan3 altname zcan0")
    with pytest.raises(OptionError, match="another name"):
        site.service.create_network(N, {"can.interface": "zcan0"})
    ip("link property del dev vcan3 altname zcan0")
    site.service.create_network(N, {"can.interface": "zcan0"})
    assert can_interfaces() == {"vcan3", "zcan0"}


def test_a_buss_name_that_was_given_away(site: Site) -> None:
    site.service.create_network(N, {"can.interface": "zcan0"})
    ip("link delete zcan0")
    make_vcans("vcan3")
    ip("link property add dev vcan3 altname zcan0")
    site.daemon.maintenance.recover()
    [event] = site.daemon.said(events.BUS_NOT_REPAIRED)
    assert "File exists; 'ip link show zcan0' shows whose name" in event.fields["error"]
    with pytest.raises(ConflictError, match="cannot join the bus on zcan0: it is another name"):
        site.service.join(N, "e1")
