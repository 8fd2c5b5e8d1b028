"""What a start of the daemon may import: of the standard library, and of ours."""

# Of the standard library. Anything else costs a board's start, and some of it (dataclasses, typing,
# argparse, pathlib, logging, …) more than all of ours. What begins with an underscore is in C, or
# comes with one of these.
LIBRARY = {
    # In C, or frozen into the interpreter. With the names of collections.abc comes all of
    # collections, in Python: they are imported for the type checker alone.
    *("array", "errno", "faulthandler", "fcntl", "gc", "io", "itertools", "select", "time"),
    *("abc", "posix", "stat"),
    "struct",  # in Python
}
# Modules of ours until the first Join; one more must be worth its time at every boot. The last were
# three for policies: what a container may send is looked at before it has a rule; two for faults,
# which a dump of the kernel tells beside them; and two for impairments, in the same way.
OURS = 61
