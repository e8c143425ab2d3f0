"""The web server: TLS and passwords, HTML pages, and the page of metrics."""
