"""Calls to Slack: whatever people see there, and what it knows of them."""
