"""systemd-nspawn: its processes, machined's records and machine directories."""
