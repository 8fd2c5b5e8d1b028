#!/bin/sh
# Write the image can-utils as an archive: busybox, and can-utils with their libraries. It is made of
# the system's own files, as there is no registry.
#
#   can-utils.sh ARCHIVE
set -eu
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
chmod 755 "$tree" # a container's user may be another than root
mkdir "$tree/bin" "$tree/tmp" "$tree/etc"
cp /bin/busybox "$tree/bin/"
for applet in $(busybox --list); do
    ln -s busybox "$tree/bin/$applet" 2>/dev/null || :
done
# iproute2's ip knows CAN, busybox's does not. (In busybox's sh, say /bin/ip: a bare ip is its own.)
for tool in cansend candump cangen cansequence ip; do
    path=$(command -v "$tool")
    rm -f "$tree/bin/$tool"
    cp -L "$path" "$tree/bin/"
    ldd "$path" | grep -o '/[^ ]*' | while read -r library; do
        mkdir -p "$tree${library%/*}"
        cp -Ln "$library" "$tree$library"
    done
done
tar -C "$tree" -cf "$1" .
