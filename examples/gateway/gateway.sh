#!/bin/sh
# Lets the questions of a tester through to the drive train (7E0 to 7E7), and the answers back
# (7E8 to 7EF). No id goes both ways, or a frame would go round for ever.

# forward FROM TO FILTER: where one direction ends, so does the container, and is started again.
forward() {
    candump -L "$1,$3" | canplayer -t "$2=$1"
    kill $$
}

trap exit TERM
forward diag0 drive0 7E0:7F8 &
forward drive0 diag0 7E8:7F8 &
wait
