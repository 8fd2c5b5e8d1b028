"""What breaks, and what is lost then: nothing.

Crashes at every step, power cuts, Docker's own faults, other people's hands, bad state, missing
modules, few rights, long runs and rude callers; in guests with a real CAN kernel and real Docker.

    .venv/bin/pytest tests/faults               all of it (make test-faults)
    .venv/bin/pytest tests/faults -m short      what `make test` runs of it

CANWHARF_SUITE picks the lab's suite (default sid, the fastest), CANWHARF_SEED the random moments,
CANWHARF_FIGURES a folder for the figures of docs/reliability.md, as JSON.

Run inside the guest: `world` (namespaces, the kernel's state), `site` (a machine without Docker),
`dying` (a daemon that kills itself), `operations` and `crashing` (the campaign over all steps),
`soak`, `crowd`, `impatient`. The tests run on the host and drive it; `bench` has their words.
"""
