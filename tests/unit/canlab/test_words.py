"""What canlab's command line takes and refuses, and what it says of a kernel that died."""

from __future__ import annotations

import pytest

from canlab import boot, cli, interfaces
from canlab.console import diagnosis
from canlab.errors import CanlabError, UsageError


def test_interfaces_are_named_with_their_kinds() -> None:
    assert interfaces.parse("vcan0, can0=slcan,a=vxcan:b") == [
        ("vcan0", "vcan", ""),
        ("can0", "slcan", ""),
        ("a", "vxcan", "b"),
    ]
    assert interfaces.parse("") == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("can0=vcam", "there is no kind 'vcam'; there are vcan, slcan, vxcan"),
        ("a=vxcan", "a=vxcan:b"),
        ("a=vcan:b", "a=vxcan:b"),
        ("=slcan", "the name is missing"),
        ("sixteen-letters-", "longer than 15 bytes"),
        ("a/b", "is no name of an interface"),
        ("lo", "lo is taken"),
        ("a,b,a", "a is named twice"),
        ("a=vxcan:b,b", "b is named twice"),
    ],
)
def test_a_wrong_interface_is_refused_with_the_reason(text: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        interfaces.parse(text)
    assert said in str(error.value)


@pytest.mark.parametrize(("text", "rate"), [("500000", 500000), ("500k", 500000), ("1M", 1000000)])
def test_a_bit_rate_has_a_unit_or_none(text: str, rate: int) -> None:
    assert interfaces.parse_bitrate(text) == rate


@pytest.mark.parametrize("text", ["", "k", "fast", "123456", "-500k", "0", "5²"])
def test_a_bit_rate_that_no_adapter_has_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="10k, 20k, 50k"):
        interfaces.parse_bitrate(text)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "a command is missing"),
        (["--"], "a command is missing"),
        (["--shell", "ls"], "--shell takes no command"),
        (["--unknown", "ls"], "unrecognized arguments"),
        (["--memory", "12", "ls"], "as 512M"),
        (["--memory", "1M", "ls"], "less than the kernel needs"),
        (["--cpus", "0", "ls"], "from 1 to 8"),
        (["--ports", "http", "ls"], "as 5432,8080"),
        (["--ports", "65536", "ls"], "as 5432,8080"),
    ],
)
def test_a_wrong_command_line_says_what_to_do(arguments: list[str], said: str) -> None:
    with pytest.raises(UsageError) as error:
        cli.run(arguments)
    assert said in str(error.value)
    assert error.value.status == 125


def test_options_after_the_command_are_the_commands() -> None:
    options = cli.parser().parse_args(["--user", "pytest", "-x", "--shell", "--", "a"])
    assert options.command == ["pytest", "-x", "--shell", "--", "a"]
    assert (options.user, options.shell) == (True, False)


def test_a_missing_kernel_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANLAB_KERNEL", "/no/such/kernel")
    with pytest.raises(CanlabError, match="which is not there"):
        cli.run(["true"])


def test_a_path_with_spaces_is_quoted_for_the_kernel() -> None:
    assert boot.quoted("/a b/python3") == '"/a b/python3"'
    assert boot.quoted("/usr/bin/python3") == "/usr/bin/python3"
    with pytest.raises(CanlabError, match='with a "'):
        boot.quoted('/a"b')


@pytest.mark.parametrize(
    ("console", "said", "unfit"),
    [
        ("", "it ended without a word", False),
        ("Checking …\nmap : Cannot allocate memory\n", "no memory left", False),
        ("/x/linux: error while loading shared libraries: libc.so.6", "library", True),
        ("canlab: mount proc on /proc: No such file or directory", "the guest gave up", False),
        ("[    0.1] Kernel panic - not syncing: x\n[    0.2] end", "panicked", False),
    ],
)
def test_a_dead_kernel_has_its_reason(console: str, said: str, unfit: bool) -> None:
    reason, machines_fault = diagnosis(console)
    assert said in reason
    assert machines_fault == unfit
