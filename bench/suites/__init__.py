"""The test suites of other projects: on this machine, and inside canlab's kernel.

A suite is a project's source distribution from PyPI, installed into an environment of its own and
run by pytest in its own folder, twice by the same command: once as it is, once with canlab in
front. `table` has the projects, `run` runs them, `page` writes docs/suites.md.

Rules: nothing in a suite is changed. A test that fails inside has its reason on the page, or the
page says that none is known.
"""
