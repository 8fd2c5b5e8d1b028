"""`canwharf record` and `play` with real Docker: eight containers send at once."""

from __future__ import annotations

import json

from tests.world.board import Board

EACH = 250  # frames of each container
# cangen counts in the data; every other container sends CAN FD. Together 5,000 frames a second.
SCRIPT = f"""
listening() {{  # to all host ends
    for each in $(ip -j link | grep -o 'cwh[0-9a-f]*') vcan0; do
        until grep -q "$each.* raw" /proc/net/can/rcvlist_*; do sleep 0.1; done
    done
}}
record() {{
    python3 -m canwharf record bus0 -o /run/$1.log --json >/run/$1.json &
    recorder=$!
    listening
}}
end() {{
    kill $recorder
    wait $recorder
}}
cd /run && rm -f first.* second.*
record first
for n in 1 2 3 4 5 6 7 8; do
    pid=$(docker inspect -f '{{{{.State.Pid}}}}' ecu$n)
    [ $((n % 2)) = 0 ] && fd=-f || fd=
    nsenter -t $pid -n cangen can0 $fd -g 1.6 -I 10$n -L 8 -D i -n {EACH} &
    senders="$senders $!"
done
wait $senders
end
docker stop -t 0 ecu1 >/dev/null
record second
python3 -m canwharf play /run/first.log --bus bus0 --without ecu1 >/run/played
end
"""
READ = """
import json
from canwharf.frames.formats import Recording
for name in ("first", "second"):
    whole = Recording(f"/run/{name}.log")
    frames = [(each.sender, each.id, each.data.hex(), each.fd) for each in whole]
    print(json.dumps([frames, json.load(open(f"/run/{name}.json"))["lost"]]))
"""


def test_the_senders_of_a_recording_and_the_rest_of_it_played(board: Board) -> None:
    """Each container's frames in its order, by its name; then all of them but ecu1's."""
    board.network()
    for number in range(1, 9):
        board.container(f"ecu{number}")
    board.sh(f"timeout 100 bash -ec '{SCRIPT.replace(chr(39), chr(34))}'")
    told = [json.loads(line) for line in board.sh(f"python3 -c '{READ}'").splitlines()]
    (first, lost), (second, lost_later) = told
    assert (lost, lost_later) == ([], [])
    for number in range(1, 9):
        ecu = [what for sender, *what in first if sender == f"ecu{number}"]
        assert [(id, fd is not None) for id, _data, fd in ecu] == [
            (0x100 + number, number % 2 == 0)
        ] * EACH
        counts = [int.from_bytes(bytes.fromhex(data), "little") for _id, data, _fd in ecu]
        assert counts == list(range(counts[0], counts[0] + EACH))
    rest = [["host", *what] for sender, *what in first if sender != "ecu1"]
    assert second == rest
    assert board.sh("cat /run/played") == f"sent {len(rest)} frames on vcan0"
