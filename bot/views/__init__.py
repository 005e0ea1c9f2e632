"""Our types as Slack's JSON and its markup: messages, modals, App Home. Pure."""
