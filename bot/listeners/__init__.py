"""What people do in Slack, a file for each thing they can do: read, one write to Redis, acknowledge, tell."""
