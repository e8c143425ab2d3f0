"""libvirt's LXC driver: controller processes and domain XML."""
