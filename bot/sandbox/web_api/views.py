"""views.*: modals and App Home."""

from bot.sandbox.core import Sandbox
from bot.sandbox.errors import SlackError
from bot.sandbox.jsontypes import Json
from bot.sandbox.view_stack import check_view
from bot.sandbox.web_api.call import Args, Caller, method


def _view(args: Args) -> Json:
    view = args.json("view")
    if not isinstance(view, dict):
        raise SlackError("invalid_arguments")
    return view


def _only_app(caller: Caller) -> None:
    if not caller.is_app:
        raise SlackError("not_allowed_token_type")


@method("views.open")
def open_(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Opens a modal for the person behind a trigger."""
    _only_app(caller)
    view = _view(args)
    check_view(view, "modal")
    trigger = sandbox.interactivity.triggers.consume(args.required("trigger_id"))
    made = sandbox.interactivity.views.open(trigger.user, view)
    trigger.opened.set()
    return {"view": sandbox.interactivity.views.present(made)}


@method("views.push")
def push(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Pushes a modal on the one the trigger came from."""
    _only_app(caller)
    view = _view(args)
    check_view(view, "modal")
    trigger = sandbox.interactivity.triggers.consume(args.required("trigger_id"))
    if trigger.view_id is None:
        raise SlackError("not_found")
    made = sandbox.interactivity.views.push(trigger.user, view)
    trigger.opened.set()
    return {"view": sandbox.interactivity.views.present(made)}


@method("views.update")
def update(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Replaces an open view; `hash` guards against races."""
    _only_app(caller)
    views = sandbox.interactivity.views
    old = views.find(args.text("view_id"), args.text("external_id"))
    made = views.replace(old, _view(args), args.text("hash"))
    return {"view": views.present(made)}


@method("views.publish")
def publish(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Publishes the App Home of a person."""
    _only_app(caller)
    user = sandbox.state.user(args.required("user_id"))["id"]
    views = sandbox.interactivity.views
    made = views.publish(user, _view(args), args.text("hash"))
    return {"view": views.present(made)}
