"""Any life of a host: after each step, and what the daemon does by itself, all is as it should be.

Theory of operation. The machine plays the container engine, whose memory is the model, the
machine's operator, its power switch and everybody else on the host. After each step the daemon
has its turn (`Maintenance.repair`), and then the fake kernel is compared with the model.

Rules:

- A call may meet a fault: a refused message, a full disk, the end of the process after any send
  or just after the state was written. The engine then repeats the call or gives it up; it cannot
  give up a deletion, or what may have been written down.
- Changes of rules are not announced: frames are counted again after the next resync.
- How many lives are tried, and how long they are, is the profile's (tests/unit/conftest.py).
"""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize

from tests.fake.daemon import Daemon
from tests.fake.kernel import FakeKernel
from tests.unit.bus.host.base import (
    INTERFACE,
    WORDS,
    Fault,
)
from tests.unit.bus.host.daemon import Life
from tests.unit.bus.host.engine import Engine
from tests.unit.bus.host.others import Others
from tests.unit.bus.host.policies import Policies
from tests.unit.bus.host.truth import Truth


class Host(Engine, Life, Others, Policies, Truth):
    """One machine with its engine, from its first boot on."""

    @initialize(
        reuse=st.booleans(),
        mtu=st.sampled_from([16, 72]),
        interfaces=st.lists(INTERFACE, min_size=1, max_size=3),
        containers=st.integers(0, 2),
        words=WORDS,
    )
    def begin(
        self,
        reuse: bool,
        mtu: int,
        interfaces: list[str],
        containers: int,
        words: dict[str, str],
    ) -> None:
        self.reuse, self.mtu = reuse, mtu
        self.kernel = FakeKernel(reuse_indexes=reuse)
        self.daemon = Daemon(Path(self.directory), self.kernel, "boot-0")
        self._plug()
        for number, interface in enumerate(interfaces):
            self.create_network(f"n{number}", interface, Fault(), words if number else {})
            for place in range(containers):
                self._create_endpoint((f"n{number}", f"e{place}"), Fault())
                self._join((f"n{number}", f"e{place}"), Fault(), early=bool(place))


TestHost = Host.TestCase
TestHost.settings = settings(
    max_examples=settings().max_examples,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
