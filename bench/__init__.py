"""What canwharf costs, as ratios against yardsticks that are measured in the same guest boot.

Rules: no absolute time is a result, machines differ; each figure is the median of repeats, with
its spread; canwharf and the yardstick take turns, so that a slow moment hits both.
"""
