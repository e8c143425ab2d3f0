"""Proxmox VE: names and settings of its LXC containers, from /etc/pve."""
