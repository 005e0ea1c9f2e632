"""How requests reach us, over HTTP or Socket Mode, and what must be true of one before anything parses it."""
