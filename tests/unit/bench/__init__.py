"""The page that the benchmarks write."""
