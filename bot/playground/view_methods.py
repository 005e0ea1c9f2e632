"""The Web API's `views.*`: modals in a stack of at most three, and one App Home per person."""

import secrets
from typing import Any

from bot.playground.arguments import Arguments, Failure
from bot.playground.limits import problems_with_view, view_is_too_large
from bot.playground.platform import Platform, Trigger
from bot.playground.rendering import view_json, with_ids
from bot.playground.workspace import Json, View

STACK = 3


def open_view(slack: Platform, args: Arguments) -> Json:
    body = checked_view(slack, args.data("view", "invalid_arguments"), ("modal",))
    trigger = exchange(slack, args)
    view = _new_view(slack, trigger.user, body)
    slack.workspace.modals[trigger.user] = [view]
    slack.pulse.touch()
    return {"ok": True, "view": view_json(slack, view)}


def push_view(slack: Platform, args: Arguments) -> Json:
    body = checked_view(slack, args.data("view", "invalid_arguments"), ("modal",))
    trigger = exchange(slack, args)
    stack = slack.workspace.modals.get(trigger.user)
    if not stack:
        raise Failure("not_found")
    if len(stack) >= STACK:
        raise Failure("push_limit_reached")
    return {"ok": True, "view": view_json(slack, push_onto(slack, stack, body))}


def push_onto(slack: Platform, stack: list[View], body: Json) -> View:
    view = _new_view(slack, stack[-1].user, body)
    view.root_view_id, view.previous_view_id = stack[0].id, stack[-1].id
    stack.append(view)
    slack.pulse.touch()
    return view


def update_view(slack: Platform, args: Arguments) -> Json:
    external = args.text("external_id")
    if not external and "view_id" not in args:
        raise Failure("invalid_arguments", "missing required field: view_id")
    view = slack.workspace.find_view(
        lambda v: v.body.get("external_id") == external if external else v.id == args.text("view_id")
    )
    body = checked_view(slack, args.data("view", "invalid_arguments"), ("modal", "home"), view)
    if view is None:
        raise Failure("not_found")
    if "hash" in args and args.text("hash") != view.hash:
        raise Failure("hash_conflict")
    refill(slack, view, body)
    return {"ok": True, "view": view_json(slack, view)}


def publish(slack: Platform, args: Arguments) -> Json:
    user = slack.workspace.users.get(args.text("user_id"))
    if user is None or user.is_bot:
        raise Failure("invalid_arguments", "invalid `user_id` [json-pointer:/user_id]")
    view = slack.workspace.homes.get(user.id)
    body = checked_view(slack, args.data("view", "invalid_arguments"), ("home",), view)
    if view and "hash" in args and args.text("hash") != view.hash:
        raise Failure("hash_conflict")
    if view is None:
        view = slack.workspace.homes[user.id] = _new_view(slack, user.id, body)
    refill(slack, view, body)
    return {"ok": True, "view": view_json(slack, view)}


def _new_view(slack: Platform, user: str, body: Json) -> View:
    view_id = slack.workspace.mint_id("V")
    return View(view_id, user, body, _new_hash(slack), root_view_id=view_id)


def refill(slack: Platform, view: View, body: Json) -> None:
    """Show *body* instead. What was typed stays where block and action ids stay, as in Slack."""
    view.body, view.hash, view.errors, view.warning = body, _new_hash(slack), {}, None
    slack.pulse.touch()


def _new_hash(slack: Platform) -> str:
    return f"{int(slack.clock.now())}.{secrets.token_urlsafe(6)}"


def checked_view(slack: Platform, body: Any, kinds: tuple[str, ...], replaced: View | None = None) -> Json:
    """The view as it will be shown; *replaced* may keep its external_id.

    Raises:
        Failure: it breaks a limit of Slack's.
    """
    if problems := problems_with_view(body, kinds):
        raise Failure("invalid_arguments", *problems)
    if view_is_too_large(body):
        raise Failure("view_too_large")
    external = body.get("external_id")
    if external and slack.workspace.find_view(lambda v: v is not replaced and v.body.get("external_id") == external):
        raise Failure("duplicate_external_id")
    return {**body, "blocks": with_ids(body["blocks"])}


def exchange(slack: Platform, args: Arguments) -> Trigger:
    """Use up the call's trigger."""
    if "trigger_id" not in args:
        raise Failure("invalid_arguments", "missing required field: trigger_id")
    trigger = slack.triggers.get(args.text("trigger_id"))
    if trigger is None:
        raise Failure("invalid_trigger_id")
    if trigger.used:
        raise Failure("exchanged_trigger_id")
    if slack.clock.now() >= trigger.expires_at:
        raise Failure("expired_trigger_id")
    trigger.used = True
    return trigger


METHODS = {
    "views.open": open_view,
    "views.push": push_view,
    "views.update": update_view,
    "views.publish": publish,
}
