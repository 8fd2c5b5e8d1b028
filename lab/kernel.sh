#!/bin/sh
# Builds a Linux kernel that is an ordinary program (User-Mode Linux), with all of CAN built in: the
# lab's own, and that of the wheel canwharf-kernel. Runs in a root that has the tools (lab/kernel.py):
# Debian's bc, bison, flex, gcc, kmod, libc6-dev, make, patch and xz-utils.
#
#   kernel.sh SOURCE FRAGMENT PATCHES TARGET
#
# SOURCE is a folder with the files of Debian's package linux-source-X.Y, FRAGMENT is
# lab/kernel.config, PATCHES is lab/kernel.patches, TARGET an empty folder. It becomes one in which a
# boot strategy can start the kernel (lab/boot/enter), with:
#   usr/bin/linux.uml             the kernel; it is linked statically
#   usr/lib/uml/modules/RELEASE   what modprobe reads of a kernel that has everything built in
#   config                        the whole of its configuration
#   made-of                       the source packages in it: name, version, which file
#   licenses                      their licenses
#
# Rule: the same source, tools and fragment give the same bytes: names, dates and paths that a
# kernel takes from its surroundings are fixed.
set -eu
source=$(echo "$1"/usr/src/linux-source-*.tar.xz) fragment=$2 patches=$3 target=$4
changelog=$(echo "$1"/usr/share/doc/linux-source-[0-9]*/changelog.Debian.gz)

SOURCE_DATE_EPOCH=$(stat -c %Y "$source") # when Debian made it
KBUILD_BUILD_TIMESTAMP=$(date -u -d "@$SOURCE_DATE_EPOCH")
export SOURCE_DATE_EPOCH KBUILD_BUILD_TIMESTAMP
export KBUILD_BUILD_USER=lab KBUILD_BUILD_HOST=canwharf KBUILD_BUILD_VERSION=1
export ARCH=um LC_ALL=C TZ=UTC

mkdir "$target/build"
cd "$target/build"
echo "unpacking ${source##*/}"
tar -xJf "$source" --strip-components=1
for patch in "$patches"/*.patch; do
    echo "applying ${patch##*/}"
    patch -p1 --silent <"$patch"
done

echo "configuring"
sed -n 's/^\(CONFIG_[^#]*[^# ]\) *#.*/\1/p' "$fragment" >fragment
make -s defconfig
scripts/kconfig/merge_config.sh -m .config fragment >merged
make -s olddefconfig
# Kconfig leaves out without a word what it does not know, or what lacks something else.
while read -r line; do
    case $line in
    *=n) grep -q "^${line%=n}=" .config && echo "$line" || : ;;
    *) grep -qFx "$line" .config || echo "$line" ;;
    esac
done <fragment >refused
if [ -s refused ]; then
    echo "this source does not take from ${fragment##*/}:" $(cat refused) >&2
    exit 1
fi

make -j "$(nproc)" linux
release=$(make -s kernelrelease)
cp .config "$target/config"

cd "$target"
mkdir -p usr/bin "usr/lib/uml/modules/$release" proc dev repo share mnt licenses
strip -o usr/bin/linux.uml build/linux

# The linker put parts of the C library and of gcc's own library into it.
package() { dpkg-query -W -f '${source:Package} ${source:Version}' "$1"; }
{
    echo "$(zcat "$changelog" | sed -n '1s/^\([^ ]*\) (\([^)]*\)).*/\1 \2/p')" \
        "${source##*/} sha256:$(sha256sum <"$source" | cut -d ' ' -f 1)"
    echo "$(package libc6-dev) libc.a"
    echo "$(package "$(dpkg-query -S "$(gcc -print-libgcc-file-name)" | cut -d : -f 1)") libgcc.a"
} >made-of
cp build/COPYING licenses/COPYING.linux
cp build/LICENSES/preferred/GPL-2.0 build/LICENSES/exceptions/Linux-syscall-note licenses
cp /usr/share/common-licenses/LGPL-2.1 licenses
cp /usr/share/doc/libc6-dev/copyright licenses/copyright.glibc
cp /usr/share/doc/libgcc-*-dev/copyright licenses/copyright.gcc

# What is built in, where modprobe looks for it: `modprobe vcan` then has nothing to do.
mkdir -p build/tree/lib/modules
lists=build/tree/lib/modules/$release
mkdir "$lists"
cp build/modules.builtin build/modules.builtin.modinfo "$lists"
: >"$lists/modules.order"
depmod -b build/tree "$release"
cp "$lists"/modules.* "usr/lib/uml/modules/$release"
rm -rf build
