"""Who may ask: keys, where they are kept, and whom a request comes from."""
