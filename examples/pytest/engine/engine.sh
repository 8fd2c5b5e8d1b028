#!/bin/sh
# Says its speed ten times a second, and answers a question for it (OBD-II, mode 01, PID 0C).
candump -L can0,7E0:7FF | while read -r _time _bus question; do
    case $question in
        7E0#02010C*) cansend can0 7E8#04410C1AF8000000 ;;
    esac
done &
# Who hears its first frame may ask: it listens by then.
until grep -q '^ *can0 ' /proc/net/can/rcvlist_fil; do sleep 0.1; done
exec cangen can0 -g 100 -I 0C9 -L 8 -D i
