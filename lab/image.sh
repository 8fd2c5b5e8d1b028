#!/bin/sh
# Make the image `ecu` in the guest's Docker: busybox, and can-utils with their libraries.
# There is no registry, and none is needed.
set -eu
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
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
tar -C "$tree" -c . | docker import --change 'CMD ["sh"]' - ecu
