SUMMARY = "CAN buses for containers: a Docker network driver for SocketCAN"
DESCRIPTION = "A container gets a CAN interface as easily as it gets an IP network. The service \
starts before Docker at each boot."
SECTION = "network"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://LICENSE;md5=238ee77440fdedb0970a21cb66d6058d"

# The repository that this layer is in.
FILESEXTRAPATHS:prepend := "${THISDIR}/../../../..:"
SRC_URI = "file://LICENSE file://packaging file://src"
# Where Yocto puts files of its own machine: UNPACKDIR from 5.1 on, WORKDIR before.
S = "${@d.getVar('UNPACKDIR') or d.getVar('WORKDIR')}"
B = "${WORKDIR}/build"

inherit python3native python3-dir systemd

# The program has a folder of its own, as in Debian's package.
PROGRAM = "${datadir}/canwharf"

do_configure[noexec] = "1"

do_compile() {
    rm -rf ${B}/made
    ${PYTHON} -B ${S}/packaging/generate.py ${B}/made ${bindir}/canwharf
}

do_install() {
    install -d ${D}${bindir} ${D}${PROGRAM} ${D}${systemd_system_unitdir}
    sed 's,/usr/lib/python3/dist-packages,${PYTHON_SITEPACKAGES_DIR},' \
        ${S}/packaging/debian/launcher >${D}${bindir}/canwharf
    chmod 755 ${D}${bindir}/canwharf
    cp -r --no-preserve=ownership ${S}/src/canwharf ${D}${PROGRAM}/
    find ${D}${PROGRAM} -name __pycache__ -prune -exec rm -r {} +
    ${PYTHON} -m compileall -q -s ${D} --invalidation-mode unchecked-hash ${D}${PROGRAM}
    cp -r --no-preserve=ownership ${B}/made/usr/share ${D}${prefix}/
    install -D -m 644 -t ${D}${nonarch_libdir}/modules-load.d ${B}/made/usr/lib/modules-load.d/*
    install -m 644 -t ${D}${systemd_system_unitdir} ${B}/made/usr/lib/systemd/system/*
}

SYSTEMD_SERVICE:${PN} = "canwharf.socket canwharf.service"
FILES:${PN} += "${PROGRAM} ${nonarch_libdir}/modules-load.d ${systemd_system_unitdir} \
    ${datadir}/bash-completion"

RDEPENDS:${PN} = "python3-core python3-ctypes python3-datetime python3-difflib python3-fcntl python3-html python3-io \
    python3-json python3-netclient python3-shell python3-sqlite3 python3-tomllib"
RRECOMMENDS:${PN} = "kernel-module-can kernel-module-can-raw kernel-module-can-gw \
    kernel-module-vcan kernel-module-vxcan kernel-module-sch-ingress kernel-module-cls-fw \
    kernel-module-cls-matchall kernel-module-act-gact kernel-module-act-skbedit \
    kernel-module-cls-basic kernel-module-em-u32 kernel-module-em-canid kernel-module-act-police"
