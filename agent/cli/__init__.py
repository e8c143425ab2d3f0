"""The command line of ``tallyman``: its flags, commands and output."""
