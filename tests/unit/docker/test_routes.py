"""Docker's calls: every one is answered in the protocol's form, whatever is in it."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canwharf import __version__
from canwharf.bus import events
from canwharf.daemon.calls import front_ends
from tests.fake.daemon import Daemon
from tests.fake.kernel import FakeKernel

NETWORK, ENDPOINT = "a1" * 32, "b2" * 32
IDS = {"NetworkID": NETWORK, "EndpointID": ENDPOINT}
GENERIC = "com.docker.network.generic"
CREATE = {"NetworkID": NETWORK, "Options": {GENERIC: {"vxcan.peer": "can"}}, "IPv4Data": []}


class Docker:
    """The caller."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.routes = front_ends(daemon.service, daemon.maintenance.sync)

    def call(self, name: str, content: object = None) -> tuple[int, Mapping[str, object]]:
        body = b"" if content is None else json.dumps(content).encode()
        status, answer = self.routes.answer(f"/{name}", body)
        return status, json.loads(answer)

    def driver(self, name: str, content: object = None) -> tuple[int, Mapping[str, object]]:
        return self.call(f"NetworkDriver.{name}", content)


@pytest.fixture
def docker(daemon: Daemon) -> Docker:
    return Docker(daemon)


def test_one_life(docker: Docker, kernel: FakeKernel) -> None:
    """All the calls of a container's life, as Docker was seen to make them."""
    assert docker.call("Plugin.Activate") == (200, {"Implements": ["NetworkDriver"]})
    status, capabilities = docker.driver("GetCapabilities")
    assert (status, capabilities["Scope"]) == (200, "local")
    assert docker.driver("CreateNetwork", CREATE) == (200, {})
    endpoint = {**IDS, "Interface": {"Address": "172.18.0.2/16"}, "Options": {}}
    assert docker.driver("CreateEndpoint", endpoint) == (200, {})
    status, joined = docker.driver("Join", {**IDS, "SandboxKey": "/var/run/netns/x"})
    name = joined["InterfaceName"]
    assert isinstance(name, dict)
    assert (status, name["DstPrefix"], joined["DisableGatewayService"]) == (200, "can", True)
    kernel.move(name["SrcName"], "container", new_name="can0")
    for _twice in range(2):
        status, told = docker.driver("EndpointOperInfo", IDS)
        assert (status, list(told)) == (200, ["Value"])
    docker.daemon.assert_exactly_once("vcan0")
    assert docker.driver("Leave", IDS) == (200, {})
    assert docker.driver("DeleteEndpoint", IDS) == (200, {})
    assert docker.driver("DeleteNetwork", {"NetworkID": NETWORK}) == (200, {})
    assert kernel.names() == {"lo"}


def test_a_container_gets_no_way_out_to_ip_networks(docker: Docker) -> None:
    """Without this word Docker would give one on a CAN bus only a gateway interface."""
    docker.driver("CreateNetwork", CREATE)
    assert docker.driver("Join", IDS)[1]["DisableGatewayService"] is True


@pytest.mark.parametrize(
    "name",
    [
        "DiscoverNew",
        "DiscoverDelete",
        "ProgramExternalConnectivity",
        "RevokeExternalConnectivity",
        "AllocateNetwork",
        "FreeNetwork",
    ],
)
def test_what_is_not_for_us_is_answered_all_the_same(docker: Docker, name: str) -> None:
    """A 404 would fail the container's start."""
    assert docker.driver(name, {**IDS, "DiscoveryType": 1}) == (200, {})


def test_no_address_is_set_aside_for_a_gateway(docker: Docker) -> None:
    """A CAN bus has none."""
    answer = (200, {"SkipIPv4": True, "SkipIPv6": True})
    assert docker.driver("GwAllocCheck", {"Options": {}}) == answer


@pytest.mark.parametrize("path", ["/NetworkDriver.Nope", "/", "", "*", "/networkdriver.join"])
def test_an_unknown_call_is_not_found(docker: Docker, path: str) -> None:
    """By a 404 Docker knows that a driver does not offer it."""
    status, answer = docker.routes.answer(path, b"{}")
    assert status == 404
    assert path in json.loads(answer)["Err"]


def test_the_generic_options_are_the_users(docker: Docker) -> None:
    """Others are Docker's own."""
    docker.driver("CreateNetwork", {"NetworkID": NETWORK, "Options": {"vxcan.dev": "can"}})
    assert docker.daemon.service.state.interfaces() == ["vcan0"]


def test_an_endpoints_own_options_stand_at_the_top(docker: Docker) -> None:
    """`docker run --network name=bus0,driver-opt=can.name=own`."""
    docker.driver("CreateNetwork", CREATE)
    own = {"can.name": "own", "com.docker.network.endpoint.exposedports": []}
    docker.driver("CreateEndpoint", {**IDS, "Options": own})
    _status, joined = docker.driver("Join", IDS)
    assert isinstance(joined["InterfaceName"], dict)
    assert joined["InterfaceName"]["DstPrefix"] == "own"


def test_a_refusal_is_a_sentence_that_docker_shows(docker: Docker) -> None:
    """With 200, or Docker wraps it in words of its own; the log has it too."""
    wrong = {"NetworkID": NETWORK, "Options": {GENERIC: {"can.interface": "a/b"}}}
    status, answer = docker.driver("CreateNetwork", wrong)
    assert status == 200
    assert "option can.interface=a/b" in str(answer["Err"])
    status, answer = docker.driver("Join", IDS)
    assert status == 200
    assert f"network {NETWORK} is not known" in str(answer["Err"])
    assert [event.fields["call"] for event in docker.daemon.said(events.CALL_REFUSED)] == [
        "NetworkDriver.CreateNetwork",
        "NetworkDriver.Join",
    ]


CALLS_WITH_ENDPOINT = ["CreateEndpoint", "DeleteEndpoint", "EndpointOperInfo", "Join", "Leave"]


@pytest.mark.parametrize("name", [*CALLS_WITH_ENDPOINT, "CreateNetwork", "DeleteNetwork"])
@pytest.mark.parametrize("id", [None, 5, "", "a b", "x" * 65, [], {}, "a/b", "a\n", "MISSING"])
def test_what_is_no_id_is_refused_with_the_fields_name(
    docker: Docker, name: str, id: object
) -> None:
    """It would end up in interface aliases and in the state file."""
    field = "EndpointID" if name in CALLS_WITH_ENDPOINT else "NetworkID"
    content = {**IDS, field: id}
    if id == "MISSING":
        del content[field]
    status, answer = docker.driver(name, content)
    assert status == 400
    assert f"NetworkDriver.{name}: the field {field}" in str(answer["Err"])


@pytest.mark.parametrize(
    "options", [5, "text", [], {GENERIC: 5}, {GENERIC: []}, {GENERIC: "vxcan.dev=can"}]
)
def test_options_that_are_no_object_are_refused(docker: Docker, options: object) -> None:
    """Rather than ignored: a network on the wrong interface would be the result."""
    status, answer = docker.driver("CreateNetwork", {"NetworkID": NETWORK, "Options": options})
    assert status == 400
    assert "Options" in str(answer["Err"])
    assert docker.daemon.service.state.networks == {}


@pytest.mark.parametrize("options", [None, {}, {GENERIC: None}, {GENERIC: {}}])
def test_no_options_are_the_defaults(docker: Docker, options: object) -> None:
    """Docker writes null where there are none."""
    assert docker.driver("CreateNetwork", {"NetworkID": NETWORK, "Options": options}) == (200, {})
    assert docker.daemon.service.state.interfaces() == ["vcan0"]


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"5", b'"text"', b"null", b"\xff", b"[" * 100_000, b"1" * 5000]
)
def test_a_body_that_is_no_object_is_refused(docker: Docker, body: bytes) -> None:
    """With an Err, in finite time."""
    status, answer = docker.routes.answer("/NetworkDriver.Join", body)
    assert status == 400
    assert "body" in json.loads(answer)["Err"]


def test_a_mistake_of_ours_does_not_end_the_daemon(
    docker: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told and logged, and the next call is answered."""

    def fail(*_arguments: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(docker.daemon.service, "join", fail)
    status, answer = docker.driver("Join", IDS)
    assert status == 500
    assert "NetworkDriver.Join" in str(answer["Err"])
    (event,) = docker.daemon.said(events.INTERNAL)
    assert event.level == "error"
    assert "oops" in event.fields["error"]
    assert docker.call("Plugin.Activate")[0] == 200


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
fields = st.sampled_from(["NetworkID", "EndpointID", "Options", "SandboxKey"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from([*CALLS_WITH_ENDPOINT, "CreateNetwork", "DeleteNetwork"]),
    content=st.dictionaries(fields, anything | st.fixed_dictionaries({GENERIC: anything})),
)
def test_whatever_is_asked_the_answer_has_the_protocols_form(
    docker: Docker, name: str, content: dict[str, object]
) -> None:
    """Never an internal error."""
    status, answer = docker.driver(name, content)
    assert (status == 200) or (status == 400 and "Err" in answer)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"NetworkID": "n"}'.encode("utf-16"), "not JSON"),
        ('{"NetworkID": "n"}'.encode("utf-16-le"), "not JSON"),
        ('{"NetworkID": "n"}'.encode("utf-32"), "not JSON"),
        ('{"NetworkID": "n"}'.encode("utf-8-sig"), "not JSON"),
        (b'{"NetworkID": "n", "NetworkID": "m"}', "'NetworkID' stands twice"),
        (b'{"NetworkID": "n", "Options": {"a": {}, "a": {}}}', "'a' stands twice"),
        (b'{"NetworkID": "n", "Options": {"a": NaN}}', "NaN is not a JSON number"),
        (b'{"NetworkID": "n", "Options": {"a": -Infinity}}', "not a JSON number"),
        (b'{"NetworkID": "n"} {}', "not JSON"),
    ],
)
def test_a_body_that_can_be_read_in_two_ways_is_refused(
    docker: Docker, body: bytes, words: str
) -> None:
    """What another reader would take for another network, or for none."""
    status, answer = docker.routes.answer("/NetworkDriver.DeleteNetwork", body)
    assert status == 400
    assert words in json.loads(answer)["Err"]


def test_the_doctor_asks_why_the_state_could_not_be_written(daemon: Daemon) -> None:
    """Docker never does: only the daemon sees what its disk takes."""
    routes = front_ends(daemon.service, daemon.maintenance.sync, lambda: "no space")
    status, body = routes.answer("/Canwharf.State", b"{}")
    assert (status, json.loads(body)) == (200, {"Fault": "no space", "Version": __version__})
