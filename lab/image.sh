#!/bin/sh
# Make the image `ecu` in the guest's Docker: what canlab's guests have as `can-utils`.
# There is no registry, and none is needed.
set -eu
archive=$(mktemp)
trap 'rm "$archive"' EXIT
sh /repo/packages/canlab/src/canlab/can-utils.sh "$archive"
docker import --change 'CMD ["sh"]' "$archive" ecu
