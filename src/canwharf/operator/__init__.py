"""The operator's view: the status of buses, the doctor, the systemd service."""
