"""The calls of CNI runtimes (Kubernetes, containerd, CRI-O): a front end of the bus."""
