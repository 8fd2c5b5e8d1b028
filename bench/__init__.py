"""What canwharf costs, as ratios against yardsticks that are measured in the same guest boot.

Rules: no absolute time is a result, machines differ; each figure is the median of repeats, with
its spread. What can be there at once takes turns, so that a slow moment hits both: a start and a
bare interpreter's, recoveries, frames. Two buses with all their endpoints cannot: the Joins and
Leaves are measured one driver after the other.
"""
