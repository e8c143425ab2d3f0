"""One module an engine: names, images, labels and states, also of what is not running."""
