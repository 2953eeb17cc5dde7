"""`/oauth/v2/authorize`: where a person lets the app into the workspace."""

from collections.abc import Mapping
from html import escape
from urllib.parse import urlencode, urlsplit

from aiohttp import web

from bot.sandbox.core import Sandbox
from bot.sandbox.installation import Grant

_PAGE = """<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>{title}</title>
    <link rel="icon" href="/static/icon.svg" type="image/svg+xml">
    <link rel="stylesheet" href="/static/layout.css">
    <link rel="stylesheet" href="/static/blocks.css">
    <link rel="stylesheet" href="/static/install.css">
  </head>
  <body class="install"><main>{body}</main></body>
</html>
"""


class InstallPage:
    """Asks, and sends the browser back to the app with a code or a refusal."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[web.RouteDef]:
        """Returns the page's routes."""
        path = "/oauth/v2/authorize"
        return [web.get(path, self._ask), web.post(path, self._decide)]

    async def _ask(self, request: web.Request) -> web.StreamResponse:
        problem = self._problem(request.query)
        if problem is not None:
            return _page("The app cannot be installed", f"<h1>{escape(problem)}</h1>", status=400)
        state = self._sandbox.state
        space = state.workspace
        people = [user for user in state.users.values() if not user["is_bot"]]
        # Whoever may manage apps comes first: a workspace admin, as in most real workspaces.
        people.sort(key=lambda user: not user["is_admin"])
        options = "".join(
            f'<option value="{escape(user["id"])}">{escape(user["real_name"])}</option>'
            for user in people
        )
        scopes = "".join(
            f"<li><code>{escape(scope)}</code></li>"
            for scope in sorted(request.query.get("scope", "").split(","))
            if scope
        )
        hidden = "".join(
            f'<input type="hidden" name="{name}" value="{escape(request.query.get(name, ""))}">'
            for name in ("client_id", "scope", "redirect_uri", "state")
        )
        title = f"{space.app_name} asks to join {space.team_name}"
        body = (
            f"<h1>{escape(title)}</h1><p>It asks for:</p><ul>{scopes}</ul>"
            f'<form method="post">{hidden}<label>You are <select name="user">{options}</select>'
            '</label><div class="b-actions">'
            '<button class="button" name="decision" value="cancel">Cancel</button>'
            '<button class="button primary" name="decision" value="allow">Allow</button>'
            "</div></form>"
        )
        return _page(title, body, back_to=request.query["redirect_uri"])

    async def _decide(self, request: web.Request) -> web.StreamResponse:
        fields = {name: str(value) for name, value in (await request.post()).items()}
        problem = self._problem(fields)
        if problem is not None:
            return _page("The app cannot be installed", f"<h1>{escape(problem)}</h1>", status=400)
        redirect_uri = fields["redirect_uri"]
        answer = {"state": fields.get("state", "")}
        if fields.get("decision") == "allow":
            user = fields.get("user", "")
            if user not in self._sandbox.state.users:
                return _page("Unknown person", "<h1>Nobody here has that id.</h1>", status=400)
            grant = Grant(
                user=user,
                scope=fields.get("scope", ""),
                redirect_uri=redirect_uri,
                born=self._sandbox.wall_clock(),
            )
            answer["code"] = self._sandbox.installation.allow(grant)
        else:
            answer["error"] = "access_denied"
        joint = "&" if urlsplit(redirect_uri).query else "?"
        raise web.HTTPFound(f"{redirect_uri}{joint}{urlencode(answer)}")

    def _problem(self, fields: Mapping[str, str]) -> str | None:
        if fields.get("client_id") != self._sandbox.state.workspace.client_id:
            return f"No app here has the client id {fields.get('client_id', '')!r}."
        parts = urlsplit(fields.get("redirect_uri", ""))
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            return "The redirect_uri is missing; set UNDERSTUDY_SLACK__REDIRECT_URL."
        return None


def _page(title: str, body: str, *, status: int = 200, back_to: str = "") -> web.Response:
    parts = urlsplit(back_to)
    target = f" {parts.scheme}://{parts.netloc}" if parts.netloc else ""
    policy = (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
        f"form-action 'self'{target}; frame-ancestors 'none'"
    )
    return web.Response(
        text=_PAGE.format(title=escape(title), body=body),
        status=status,
        content_type="text/html",
        headers={
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
        },
    )
