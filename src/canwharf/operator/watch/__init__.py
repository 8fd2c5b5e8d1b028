"""The live screen of `canwharf watch`: what is sent on the buses, by whom, how often, with what.

- `reading`: the thread that reads the frames. `meter`: rates and loads.
- `view`: which rows are shown, in which order, and their cells. `plot`: a signal over time.
- `screen`: the widgets, the only import of textual.
"""
