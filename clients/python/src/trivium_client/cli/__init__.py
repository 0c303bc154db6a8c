"""The `trivium` command."""
