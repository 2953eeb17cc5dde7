"""How the audit trail names what a person does on a page."""

ACTOR = "operator"
ON_THE_PAGE = "set on the web page"
"""The pages ask nobody for a name or a reason."""
