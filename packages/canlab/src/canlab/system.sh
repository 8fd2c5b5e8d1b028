#!/bin/sh
# Make the system that Docker runs in: a file with an ext4 file system. Run as root, or as root of a
# user namespace, in namespaces of its own.
#
#   system.sh IMAGE SUITE PACKAGES CAN_UTILS_SH
set -eu
image=$1 suite=$2 packages=$3 can_utils=$4
mmdebstrap --mode=root --format=directory --variant=minbase "--include=$packages" \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook='mkdir -p "$1/var/lib/docker" "$1/var/lib/canwharf"' \
    --customize-hook='mkdir -p "$1/usr/lib/python3/dist-packages/canwharf" "$1/usr/share/canlab"' \
    --customize-hook="chroot \"\$1\" sh -s /usr/share/canlab/can-utils.tar <'$can_utils'" \
    "$suite" "$image.d"
# No journal: nothing is ever written to it again. The file is sparse.
truncate -s 2G "$image"
mkfs.ext4 -q -F -O ^has_journal -m 0 -d "$image.d" "$image"
