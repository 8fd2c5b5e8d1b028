#!/bin/sh
# Shows what it hears. And, as if it had been broken into, sends ten frames a second.
trap exit TERM
candump -L drive0 &
cangen drive0 -g 100 -I 123 -L 8 -D i &
wait
