"""Docker, by its own SDK: a network for a test, and all of it removed at the end.

Rules:

- What cannot work on this machine is found out before anything is made, and the error says what to
  do: most often to run the tests in the CAN kernel that comes with the project.
- What is to be removed is removed by a name that was chosen before it was made. So nothing is left
  where a Ctrl-C comes between.
- Removal makes sure that a thing is absent: what is gone already is no error.

Source: https://docker-py.readthedocs.io
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING

from canwharf.errors import CanwharfError

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container
    from docker.models.networks import Network

RUNS = "runs"
LABEL = "canwharf.test"  # of a network: the test that has it
_CONFLICT, _NOT_FOUND = 409, 404  # statuses of Docker's API
_SOCKET = "plugins/canwharf.sock"  # in Docker's words where the daemon does not run
_INSIDE = (
    "'canlab --docker pytest' runs the tests where all of it is, in a CAN kernel of its own and "
    "without root (pip install canlab canwharf-kernel)"
)
_LOCAL = "unix://"


class UnavailableError(CanwharfError):
    """A bus that cannot be had on this machine; says what to do."""


def connect() -> DockerClient:
    """A client of this machine's Docker. Raises UnavailableError."""
    try:
        import docker  # noqa: PLC0415 - an extra
        from docker.errors import DockerException  # noqa: PLC0415
    except ImportError as error:
        raise UnavailableError(
            f"it needs Docker's SDK ({error}): pip install 'canwharf[test]'"
        ) from error
    try:
        socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW).close()
    except OSError as error:
        raise UnavailableError(f"this kernel has no CAN ({error.strerror}): {_INSIDE}") from error
    host = os.environ.get("DOCKER_HOST", _LOCAL)
    if not host.startswith(_LOCAL):
        raise UnavailableError(
            f"DOCKER_HOST={host} is a Docker that is reached by a network; frames are seen only on "
            "the machine where it runs: run pytest there, with a DOCKER_HOST like "
            f"{_LOCAL}/run/docker.sock"
        )
    try:
        return docker.from_env()
    except DockerException as error:
        raise UnavailableError(
            f"Docker does not answer: {error}. Start it (or join its group); or {_INSIDE}"
        ) from error


def make_network(client: DockerClient, name: str, options: Mapping[str, str], test: str) -> Network:
    """Make it, with the driver canwharf. Raises UnavailableError."""
    from docker.errors import APIError  # noqa: PLC0415
    from docker.types import IPAMConfig  # noqa: PLC0415

    try:
        return client.networks.create(
            name,
            driver="canwharf",
            options=dict(options),
            ipam=IPAMConfig(driver="null"),
            labels={LABEL: test},
        )
    except APIError as error:
        words = error.explanation or str(error)
        if error.status_code == _NOT_FOUND or _SOCKET in words:
            raise UnavailableError(
                f"Docker does not reach the driver canwharf ({words}): 'sudo canwharf install' "
                f"sets it up; or {_INSIDE}"
            ) from error
        raise UnavailableError(f"Docker cannot make the network: {words}") from error


def run(client: DockerClient, image: object, command: object, **options: object) -> Container:
    """Start a container; docker-py pulls an image that is not there. Raises CanwharfError."""
    from docker.errors import DockerException  # noqa: PLC0415

    __tracebackhide__ = True
    try:
        return client.containers.run(image, command, detach=True, **options)
    except (DockerException, OSError) as error:
        words = getattr(error, "explanation", None) or str(error)
        message = f"Docker cannot run a container of {image}: {words}"
    raise CanwharfError(message)  # without the pages of the SDK's own


def remove_network(client: DockerClient, name: str) -> None:
    """Remove it, also with containers on it. Raises docker.errors.APIError."""
    from docker.errors import APIError, NotFound  # noqa: PLC0415

    try:
        network = client.networks.get(name)
        for container in network.attrs.get("Containers") or {}:
            try:
                network.disconnect(container, force=True)
            except APIError as error:  # it may have ended meanwhile
                if error.status_code not in (_CONFLICT, _NOT_FOUND):
                    raise
        network.remove()
    except NotFound:
        pass


def remove_container(client: DockerClient, name: str) -> None:
    """Remove it, also while it runs. Raises docker.errors.APIError."""
    from docker.errors import APIError, NotFound  # noqa: PLC0415

    try:
        container = client.containers.get(name)
        try:
            container.remove(force=True, v=True)
        except APIError as error:
            if error.status_code != _CONFLICT:
                raise
            container.wait(condition="removed")  # it is being removed (auto_remove)
    except NotFound:
        pass


def endpoint_of(container: Container, network: str) -> str:
    """The id of a container's endpoint; empty if it has ended. Raises docker.errors.APIError."""
    from docker.errors import NotFound  # noqa: PLC0415

    try:
        container.reload()
    except NotFound:  # auto_remove
        return ""
    networks = container.attrs["NetworkSettings"]["Networks"]
    return str((networks.get(network) or {}).get("EndpointID") or "")


def endpoints(network: Network) -> dict[str, str]:
    """The names of the containers that run on it, by endpoint; none if Docker does not tell."""
    from docker.errors import DockerException  # noqa: PLC0415

    try:
        network.reload()
    except (DockerException, OSError):  # a frame is shown as that of an endpoint then
        return {}
    members = network.attrs.get("Containers") or {}
    return {each["EndpointID"]: each["Name"] for each in members.values()}


def state_of(container: Container) -> str:
    """What is told of a container: `RUNS`, that it has ended, or that Docker does not tell."""
    from docker.errors import DockerException, NotFound  # noqa: PLC0415

    try:
        container.reload()
    except NotFound:
        return "has ended, and was removed"
    except (DockerException, OSError) as error:
        return f"is not known: Docker does not tell ({error})"
    if container.status == "running":
        return RUNS
    state = container.attrs["State"]
    words = f"has ended with status {state['ExitCode']}"
    return f"{words} ({state['Error']})" if state.get("Error") else words


def log_of(container: Container, lines: int) -> str:
    """The last lines of what it wrote; empty if Docker does not tell."""
    from docker.errors import DockerException  # noqa: PLC0415

    try:
        return bytes(container.logs(tail=lines)).decode(errors="replace")
    except (DockerException, OSError):
        return ""
