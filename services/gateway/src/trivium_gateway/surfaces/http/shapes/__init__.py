"""What bodies of responses look like, for the OpenAPI description. `rendering.py` makes them; a test compares."""
