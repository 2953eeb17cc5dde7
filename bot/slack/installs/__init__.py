"""Where the bot is installed: by one token, or by OAuth in many workspaces."""
