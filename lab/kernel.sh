#!/bin/sh
# Builds the lab's own kernel. Runs in a root that has the tools (lab/kernel.py).
#
#   kernel.sh SOURCE FRAGMENT TARGET
#
# SOURCE is the folder of linux-source's archive, FRAGMENT is lab/kernel.config, TARGET an empty
# folder. It becomes one in which a boot strategy can start the kernel (lab/boot/enter), with:
#   usr/bin/linux.uml             the kernel, and the libraries that it needs
#   usr/lib/uml/modules/RELEASE   what modprobe reads of a kernel that has everything built in
#   config                        the whole of its configuration
#
# Rule: the same source, tools and fragment give the same bytes: names, dates and paths that a
# kernel takes from its surroundings are fixed.
set -eu
source=$(echo "$1"/linux-source-*.tar.xz) fragment=$2 target=$3

SOURCE_DATE_EPOCH=$(stat -c %Y "$source") # when Debian made it
KBUILD_BUILD_TIMESTAMP=$(date -u -d "@$SOURCE_DATE_EPOCH")
export SOURCE_DATE_EPOCH KBUILD_BUILD_TIMESTAMP
export KBUILD_BUILD_USER=lab KBUILD_BUILD_HOST=canwharf KBUILD_BUILD_VERSION=1
export ARCH=um LC_ALL=C TZ=UTC

mkdir "$target/build"
cd "$target/build"
echo "unpacking ${source##*/}"
tar -xJf "$source" --strip-components=1

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
mkdir -p usr/bin "usr/lib/uml/modules/$release" proc dev repo share mnt
strip -o usr/bin/linux.uml build/linux
ldd usr/bin/linux.uml | grep -o '/[^ ]*' | while read -r library; do
    mkdir -p ".${library%/*}"
    cp -L "$library" ".$library"
done

# What is built in, where modprobe looks for it: `modprobe vcan` then has nothing to do.
mkdir -p build/tree/lib/modules
lists=build/tree/lib/modules/$release
mkdir "$lists"
cp build/modules.builtin build/modules.builtin.modinfo "$lists"
: >"$lists/modules.order"
depmod -b build/tree "$release"
cp "$lists"/modules.* "usr/lib/uml/modules/$release"
rm -rf build
