"""What `trivium doctor` looks at.

Each module finds facts of one kind and judges them; facts and judgement are apart, so that a test can give any facts.
Nothing here imports a service or a model's library: what is installed is found, not loaded.
"""
