#!/bin/sh
# Asks each second, and shows all that it hears.
trap exit TERM
candump -L diag0 &
while sleep 1; do
    cansend diag0 7E0#02010C0000000000
done &
wait
