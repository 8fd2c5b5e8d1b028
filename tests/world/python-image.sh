#!/bin/sh
# Write an archive that stands for Debian's image, as there is no registry: canlab's image, the
# guest's own Python, and what a Dockerfile would install, so `apt-get` and `pip` do nothing.
#
#   python-image.sh ARCHIVE PACKAGE…    # paths of packages of Python
set -eu
archive=$1
shift
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
chmod 755 "$tree"
sh /repo/packages/canlab/src/canlab/can-utils.sh "$tree/archive"
tar -C "$tree" -xf "$tree/archive" && rm "$tree/archive"
python=$(readlink -f /usr/bin/python3)
library=/usr/lib/${python##*/}
packages=$tree/usr/lib/python3/dist-packages
mkdir -p "$tree/usr/bin" "$packages" "$tree/zenoh" "$tree/var/lib"
cp "$python" "$tree/usr/bin/"
ln -s "${python##*/}" "$tree/usr/bin/python3"
tar -C / --exclude __pycache__ --exclude 'config-*' --exclude test --exclude idlelib \
    --exclude ensurepip --exclude tkinter --exclude pydoc_data -cf - "${library#/}" |
    tar -C "$tree" -xf -
[ $# = 0 ] || cp -r "$@" "$packages/"
find "$tree" -name '*.so' -print0 | xargs -0 ldd "$python" | grep -o '/[^ ]*[^: ]' | sort -u |
    while read -r each; do
        [ -e "$tree$each" ] || [ "${each#"$tree"}" != "$each" ] || {
            mkdir -p "$tree${each%/*}" && cp -L "$each" "$tree$each"
        }
    done
for each in apt-get pip; do
    printf '#!/bin/sh\n' >"$tree/bin/$each" && chmod 755 "$tree/bin/$each"
done
echo 'root:x:0:0::/:/bin/sh' >"$tree/etc/passwd"
echo 'nobody:x:65534:65534::/:/bin/sh' >>"$tree/etc/passwd"
echo 'nogroup:x:65534:' >"$tree/etc/group"
tar -C "$tree" -cf "$archive" .
