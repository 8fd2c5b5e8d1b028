"""The kinds of events that figures count: a word for programs, for each sentence of the log. Pure.

Only figures need it, so the daemon's usual path does not load it.
"""

from __future__ import annotations

# What the daemon puts right by itself; docs/logs.md tells what each means.
RECOVERIES = {
    "adopted endpoint": "endpoint-adopted",
    "adopted network": "network-adopted",
    "brought interface up again": "interface-brought-up",
    "collecting an endpoint without container": "endpoint-collected",
    "endpoint not found, recreating": "endpoint-recreated",
    "gave the adapter its name again": "adapter-renamed",
    "network taken from disk": "network-from-disk",
    "recreated bus interface": "bus-recreated",
    "recreated interface pair": "pair-recreated",
    "removed doubled gateway rule": "rule-doubled",
    "removed gateway rule of a renamed interface": "rule-left-behind",
    "removed unwanted gateway rule": "rule-unwanted",
    "restored rules": "rules-restored",
    "set the state file aside": "state-set-aside",
    "skipped an endpoint without interface": "endpoint-skipped",
    "something else has the adapter's name, waiting for the adapter": "adapter-name-taken",
    "the adapter is missing, waiting for it": "adapter-missing",
}
# What could not be done.
ERRORS = {
    "could not adopt a network": "network-not-adopted",
    "could not adopt what the kernel holds": "kernel-not-adopted",
    "could not collect an endpoint": "endpoint-not-collected",
    "could not look for abandoned endpoints": "endpoints-not-looked-for",
    "could not read link announcements": "announcements-not-read",
    "could not read the networks of the driver that was here before": "migration-not-read",
    "could not remove what nobody owns": "leftovers-not-removed",
    "could not repair a bus": "bus-not-repaired",
    "could not set the state file aside": "state-not-set-aside",
    "could not undo a failed call": "call-not-undone",
    "could not write the figures, trying again": "figures-not-written",
    "could not write the state, trying again": "state-not-written",
    "internal error": "internal",
    "refused a call": "call-refused",
    "somebody set the adapter up otherwise": "adapter-set-up-otherwise",
    "the state is lost": "state-lost",
}
