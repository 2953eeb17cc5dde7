"""A local Slack workspace: Web API, Socket Mode, signed HTTP events, interactivity, a web page.

It exists so that the bot can be played with, demonstrated and tested without a Slack account.
Simulated people act through the `/sandbox` routes (`client.SandboxClient`); the bot uses
slack_bolt and slack_sdk unchanged, with their base URL pointed here.
"""
