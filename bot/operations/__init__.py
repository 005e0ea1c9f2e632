"""What an operator asks and does: ``signoff doctor``, ``runs``, ``audit``, ``installs``."""
