"""The language model that answers are written by: which there are to choose from, and whether one works."""
