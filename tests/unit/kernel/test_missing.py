"""Where a missing kernel module comes from: the kernel's flavor decides, then the distribution."""

from __future__ import annotations

import errno

import pytest

from canwharf.errors import no_module
from canwharf.kernel import link
from canwharf.kernel.missing import ROWS, UNKNOWN, advice_for, row_for
from canwharf.kernel.needed import LINEAR


@pytest.mark.parametrize(
    ("release", "systems", "words"),
    [
        ("6.12.30+deb13-cloud-amd64", ["debian", ""], "no CAN: 'apt install linux-image-"),
        ("6.12.30+deb13-amd64", ["debian"], "--reinstall linux-image-6.12.30+deb13-amd64"),
        ("6.1.0-21-armmp", ["debian"], "--reinstall linux-image-6.1.0-21-armmp"),
        ("6.8.0-60-generic", ["ubuntu", "debian"], "linux-modules-extra-6.8.0-60-generic"),
        ("6.11.0-1018-azure", ["ubuntu", "debian"], "linux-modules-extra-6.11.0-1018-azure"),
        ("6.8.0-1028-raspi", ["ubuntu", "debian"], "linux-modules-extra-6.8.0-1028-raspi"),
        ("6.12.47+rpt-rpi-v8", ["debian"], "full-upgrade"),
        ("6.1.21-v8+", ["debian"], "full-upgrade"),
        ("6.1.21-v7l+", ["raspbian", "debian"], "full-upgrade"),
        ("5.15.148-tegra", ["ubuntu", "debian"], "NVIDIA's kernel sources"),
        ("5.15.167.4-microsoft-standard-WSL2", ["ubuntu", "debian"], ".wslconfig"),
        ("6.6.87.2-microsoft-standard-WSL2", ["debian"], ".wslconfig"),
        ("6.10.14-linuxkit", ["alpine"], "Docker Desktop"),
        ("6.8.12-4-pve", ["debian"], "proxmox-kernel-6.8.12-4-pve"),
        ("6.6.63-current-rockchip64", ["debian"], "Armbian"),
        ("6.1.75-vendor-rk35xx", ["ubuntu", "debian"], "Armbian"),
        ("6.12.51-haos", ["haos"], "Home Assistant OS"),
        ("6.6.64.2-1.azl3", ["azurelinux"], "Azure Linux"),
        ("6.12.8-0-virt", ["alpine"], "apk add linux-lts"),
        ("6.11.4-301.fc41.x86_64", ["fedora"], "kernel-modules-extra-6.11.4-301.fc41.x86_64"),
        ("5.14.0-503.el9.x86_64", ["rocky", "rhel"], "kernel-modules-extra-5.14.0-503.el9"),
        ("6.6.21-yocto-standard", ["poky"], "kernel-module-vxcan"),
        ("6.12.8-0-lts", ["alpine"], "zgrep CONFIG_CAN_VXCAN /proc/config.gz"),
        ("6.6.21", [""], "CONFIG_CAN_VXCAN=m"),
        ("6.6.21-mine", ["debian"], "grep CONFIG_CAN_VXCAN /boot/config-6.6.21-mine"),
    ],
)
def test_where_a_module_comes_from(release: str, systems: list[str], words: str) -> None:
    assert words in advice_for("vxcan", release, systems)


def test_a_raspberry_pi_has_the_other_modules_in_its_package() -> None:
    """Only vxcan came late."""
    assert "--reinstall linux-image" in advice_for("can-gw", "6.12.47+rpt-rpi-v8", ["debian"])


@pytest.mark.parametrize(("module", "config"), LINEAR.items())
def test_a_linear_buss_modules_have_words_too(module: str, config: str) -> None:
    told = advice_for(module, "6.6.21", [""])
    assert f"{config}=m" in told
    assert f"kernel-module-{module}" in told


def test_each_row_says_where_it_is_known_from_and_is_reached() -> None:
    """A row behind one that takes all of its kernels would never be read."""
    releases = (
        ("6.6.87.2-microsoft-standard-WSL2", "debian"),
        ("6.10.14-linuxkit", ""),
        ("5.15.148-tegra", "ubuntu"),
        ("6.12.51-haos", ""),
        ("6.1.21-v8+", "debian"),
        ("6.8.12-4-pve", "debian"),
        ("6.6.63-current-rockchip64", "debian"),
        ("6.6.64.2-1.azl3", ""),
        ("6.12.30+deb13-cloud-amd64", "debian"),
        ("6.8.0-60-generic", "ubuntu"),
        ("6.12.30+deb13-amd64", "debian"),
        ("6.12.8-0-virt", "alpine"),
        ("6.11.4-301.fc41.x86_64", "fedora"),
    )
    reached = [row_for("vxcan", release, [system]) for release, system in releases]
    assert reached == list(ROWS)
    assert all(row.source for row in (*ROWS, UNKNOWN))


def test_an_error_does_not_promise_a_module_that_may_not_be_there() -> None:
    """Docker shows it to the user."""
    request = link.make_vcan("vcan0", 1)
    assert (request.hints or {})[errno.EOPNOTSUPP] == no_module("vcan")
    assert "if there is no such module, 'canwharf doctor'" in no_module("vcan")
