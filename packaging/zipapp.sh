#!/bin/sh
# Makes the zipapp: one file that runs wherever there is Python.
#
#   zipapp.sh PYTHON TARGET
#
# It is stored, not packed: reading it needs no zlib. Its bytecode is that of the Python which
# makes it; another version passes that over and compiles the source.
set -eu
source=$(dirname "$0")/../src/canwharf
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
cp -r "$source" "$tree/"
cp "$source/__main__.py" "$tree/"
find "$tree" -name __pycache__ -prune -exec rm -r {} +
"$1" -m compileall -q -b -s "$tree" --invalidation-mode unchecked-hash "$tree"
"$1" -m zipapp "$tree" -p '/usr/bin/env python3' -o "$2"
chmod 755 "$2"
