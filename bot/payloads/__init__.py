"""What Slack sends, read into our own types. Pure."""
