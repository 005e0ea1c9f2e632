"""Where the app is installed: records, their tokens, and how a workspace comes by one."""
