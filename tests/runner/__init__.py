"""Runs kinds of tests two at a time, and says what they do, what came of it, what it covered.

    python3 -m tests.runner check unit 'kernel-tests SUITE=sid'

A kind is a target of the Makefile, with the variables that it gets. Rules:

- All kinds run, whatever fails. The status is 0 only if nothing failed.
- What a kind prints is kept in build/tests/; all of it is shown when the kind has failed.
- Every few seconds a line says how far each kind has come, and at which test it is.
- Ctrl-C, SIGTERM and SIGHUP end all that was started; then there is no count, and the status is
  130.
- The last line is `N passed, N failed`: for CI, so it is the same in all cases. A kind that fails
  without a failed test (its guest died, say) counts as one that failed.
"""
