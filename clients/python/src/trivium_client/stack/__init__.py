"""The whole stack on one machine: which processes it is made of, and how they are started, watched and stopped."""
