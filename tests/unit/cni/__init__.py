"""The front end of CNI."""
