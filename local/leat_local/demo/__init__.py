"""The demo: the whole pipeline on a local AWS, from a history file to balanced accounts."""
