"""The fake Slack's Web API as the real slack_sdk sees it: each method's success and its main refusals."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.playground import AppConfig, FakeSlack
from bot.playground.arguments import METHOD_TABLE
from bot.playground.server import StateFileError

CONFIG = AppConfig(signing_secret="shhh")
SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "hello"}}
MODAL: dict[str, Any] = {"type": "modal", "title": {"type": "plain_text", "text": "Title"}, "blocks": [SECTION]}
HOME: dict[str, Any] = {"type": "home", "blocks": [SECTION]}
# Codes that Slack answers from any method, whether its page lists them or not.
GENERAL = {"not_authed", "invalid_auth", "not_allowed_token_type", "unknown_method", "invalid_arguments"} | {
    *("invalid_json", "json_not_object", "invalid_post_type", "missing_post_type", "ratelimited", "internal_error")
}
# Answered by Slack in practice, missing on the method's page.
OBSERVED = {("chat.postMessage", "msg_too_long")}


@pytest.fixture(autouse=True)
async def documented(slack: FakeSlack) -> AsyncIterator[None]:
    """No call is answered with an error that Slack's own page of the method does not list."""
    yield
    for call in slack.log:
        code = call.response.get("error") if isinstance(call.response, dict) else None
        if call.direction == "bot→slack" and code and call.method in METHOD_TABLE:
            known = set(METHOD_TABLE[call.method]["errors"]) | GENERAL
            assert code in known or (call.method, code) in OBSERVED, f"{call.method} never answers {code}"


async def refused(client: AsyncWebClient, method: str, **args: Any) -> str:
    """The error code that a call is answered with."""
    with pytest.raises(SlackApiError) as caught:
        await client.api_call(method, json=args)
    return str(caught.value.response["error"])


async def posted(client: AsyncWebClient, **args: Any) -> str:
    return str((await client.chat_postMessage(**{"channel": "C2", "text": "hello", **args}))["ts"])


# ------------------------------------------------------------------ calling


@pytest.mark.parametrize("how", ["get", "query", "form", "json"])
async def test_arguments_are_read_however_they_come(slack: FakeSlack, how: str) -> None:
    url, args = slack.api_base_url + "users.info", {"user": "U2", "token": CONFIG.bot_token}
    headers = {"Authorization": f"Bearer {CONFIG.bot_token}"}

    async with aiohttp.ClientSession() as http:
        calls = {
            "get": lambda: http.get(url, params=args),
            "query": lambda: http.post(url, params=args),
            "form": lambda: http.post(url, data=args),
            "json": lambda: http.post(url, json={"user": "U2"}, headers=headers),
        }
        async with calls[how]() as response:
            body = await response.json()

    assert body["user"]["real_name"] == "Ben Okoye"
    assert "token" not in slack.log[-1].request


@pytest.mark.parametrize(
    ("token", "method", "code"),
    [
        ("", "auth.test", "not_authed"),
        ("xoxb-wrong", "auth.test", "invalid_auth"),
        (CONFIG.app_token, "auth.test", "not_allowed_token_type"),
        (CONFIG.bot_token, "apps.connections.open", "not_allowed_token_type"),
        (CONFIG.bot_token, "chat.shout", "unknown_method"),
    ],
)
async def test_a_wrong_token_or_method_is_refused(slack: FakeSlack, token: str, method: str, code: str) -> None:
    client = AsyncWebClient(token=token, base_url=slack.api_base_url)

    assert await refused(client, method) == code


@pytest.mark.parametrize(
    ("body", "kind", "code"),
    [
        ("{", "application/json", "invalid_json"),
        ("[]", "application/json", "json_not_object"),
        ("x", "text/plain", "invalid_post_type"),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused(slack: FakeSlack, body: str, kind: str, code: str) -> None:
    async with (
        aiohttp.ClientSession() as http,
        http.post(slack.api_base_url + "auth.test", data=body, headers={"Content-Type": kind}) as response,
    ):
        assert (await response.json())["error"] == code


async def test_a_missing_argument_is_named(client: AsyncWebClient) -> None:
    with pytest.raises(SlackApiError) as caught:
        await client.api_call("chat.update", json={"channel": "C2", "text": "x"})

    assert caught.value.response["error"] == "invalid_arguments"
    assert caught.value.response["response_metadata"]["messages"] == ["[ERROR] missing required field: ts"]


@pytest.mark.parametrize(
    ("method", "args", "scope"),
    [
        ("users.info", {"user": "U1"}, "users:read"),
        ("conversations.history", {"channel": "D1"}, "im:history"),
        ("conversations.members", {"channel": "C1"}, "channels:read"),
        ("conversations.open", {"users": "U1"}, "im:write"),
        ("conversations.list", {"types": "public_channel,im"}, "channels:read,im:read"),
        ("files.getUploadURLExternal", {"filename": "x", "length": 1}, "files:write"),
    ],
)
async def test_a_scope_that_was_not_granted_is_named(method: str, args: dict[str, Any], scope: str) -> None:
    granted = frozenset({"chat:write", "channels:history"})
    async with FakeSlack(replace(CONFIG, scopes=granted)) as slack:
        client = AsyncWebClient(token=CONFIG.bot_token, base_url=slack.api_base_url)
        await client.conversations_history(channel="C2")

        with pytest.raises(SlackApiError) as caught:
            await client.api_call(method, json=args)

    answer = caught.value.response
    assert (answer["error"], answer["needed"]) == ("missing_scope", scope)
    assert answer["provided"] == "channels:history,chat:write"


async def test_api_test_answers_with_what_it_was_sent(client: AsyncWebClient) -> None:
    assert (await client.api_test(foo="bar"))["args"] == {"foo": "bar"}


async def test_auth_test_says_who_the_bot_is(slack: FakeSlack, client: AsyncWebClient) -> None:
    found = await client.auth_test()

    assert (found["user_id"], found["bot_id"], found["team_id"]) == ("U0BOT", "B0BOT", "T1")


# ------------------------------------------------------------------ chat


async def test_a_message_is_stored_and_answered_with_ids_filled_in(slack: FakeSlack, client: AsyncWebClient) -> None:
    found = await client.chat_postMessage(channel="C2", text="hello", blocks=[SECTION])

    message = slack.messages("C2")[0]
    assert (message.text, message.user, message.ts) == ("hello", "U0BOT", found["ts"])
    assert found["message"]["blocks"][0]["block_id"]
    assert found["message"]["bot_profile"]["app_id"] == CONFIG.app_id


async def test_timestamps_are_unique_and_grow(client: AsyncWebClient) -> None:
    stamps = [await posted(client) for _ in range(20)]

    assert stamps == sorted(set(stamps))
    assert all(len(ts) == 17 for ts in stamps)


async def test_a_person_can_be_addressed_by_id(slack: FakeSlack, client: AsyncWebClient) -> None:
    assert (await client.chat_postMessage(channel="U2", text="psst"))["channel"] == "D2"


async def test_a_reply_to_what_is_gone_stands_in_the_channel(slack: FakeSlack, client: AsyncWebClient) -> None:
    await client.chat_postMessage(channel="C2", text="too late", thread_ts="1.000001")

    (message,) = slack.messages("C2")
    assert message.thread_ts is None


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ({"channel": "C9"}, "channel_not_found"),
        ({"channel": "C3"}, "channel_not_found"),
        ({"text": " "}, "no_text"),
        ({"blocks": "nonsense"}, "invalid_blocks_format"),
        ({"blocks": {"type": "section"}}, "invalid_blocks_format"),
        ({"blocks": [{"type": "nonsense"}]}, "invalid_blocks"),
        ({"metadata": {"event_type": "x"}}, "invalid_metadata_format"),
        ({"metadata": {"event_type": "x", "event_payload": {"a": "b" * 17_000}}}, "metadata_too_large"),
        ({"markdown_text": "x"}, "markdown_text_conflict"),
        ({"text": "", "markdown_text": "x" * 12_001}, "msg_too_long"),
    ],
)
async def test_a_message_slack_would_refuse_is_refused(client: AsyncWebClient, args: dict[str, Any], code: str) -> None:
    assert await refused(client, "chat.postMessage", **{"channel": "C2", "text": "hello", **args}) == code


async def test_nobody_posts_where_the_bot_is_no_member_or_nobody_may(slack: FakeSlack, client: AsyncWebClient) -> None:
    slack.remove_bot("C1")
    slack.archive("C2")

    assert await refused(client, "chat.postMessage", channel="C1", text="x") == "not_in_channel"
    assert await refused(client, "chat.postMessage", channel="C2", text="x") == "is_archived"


async def test_text_beyond_40000_characters_is_cut(slack: FakeSlack, client: AsyncWebClient) -> None:
    await posted(client, text="x" * 40_001)

    assert len(slack.messages("C2")[0].text) == 40_000


async def test_metadata_comes_back_only_when_asked_for(client: AsyncWebClient) -> None:
    metadata = {"event_type": "asked", "event_payload": {"run": "1"}}
    await posted(client, metadata=metadata)

    plain = await client.conversations_history(channel="C2")
    full = await client.conversations_history(channel="C2", include_all_metadata=True)

    assert "metadata" not in plain["messages"][0]
    assert full["messages"][0]["metadata"] == metadata


async def test_an_update_with_text_alone_removes_the_blocks(slack: FakeSlack, client: AsyncWebClient) -> None:
    metadata = {"event_type": "asked", "event_payload": {}}
    ts = await posted(client, blocks=[SECTION], metadata=metadata)

    await client.chat_update(channel="C2", ts=ts, text="done")

    message = slack.messages("C2")[0]
    assert (message.text, message.blocks, message.metadata) == ("done", None, metadata)
    assert message.edited_ts is not None


async def test_an_update_slack_would_refuse_is_refused(slack: FakeSlack, client: AsyncWebClient) -> None:
    ts, anas = await posted(client), (await slack.say("U1", "C2", "mine")).ts

    async def code(**args: Any) -> str:
        return await refused(client, "chat.update", **{"channel": "C2", "ts": ts, "text": "x", **args})

    assert await code(ts="1.000001") == "message_not_found"
    assert await code(ts=anas) == "cant_update_message"
    assert await code(text="x" * 4_001) == "msg_too_long"
    assert await code(text="") == "no_text"
    assert await code(channel="C3") == "channel_not_found"
    slack.archive("C2")
    assert await code() == "is_inactive"


async def test_a_deleted_message_is_gone(slack: FakeSlack, client: AsyncWebClient) -> None:
    ts = await posted(client)

    await client.chat_delete(channel="C2", ts=ts)

    assert slack.messages("C2") == []
    assert await refused(client, "chat.update", channel="C2", ts=ts, text="x") == "message_not_found"


async def test_only_ones_own_messages_can_be_deleted(slack: FakeSlack, client: AsyncWebClient) -> None:
    anas = (await slack.say("U1", "C2", "mine")).ts

    assert await refused(client, "chat.delete", channel="C2", ts=anas) == "cant_delete_message"
    assert await refused(client, "chat.delete", channel="C2", ts="1.000001") == "message_not_found"


async def test_a_deleted_parent_leaves_a_tombstone(slack: FakeSlack, client: AsyncWebClient) -> None:
    ts = await posted(client)
    await posted(client, thread_ts=ts)

    await client.chat_delete(channel="C2", ts=ts)

    assert [m.subtype for m in slack.messages("C2")] == ["tombstone", None]
    assert await refused(client, "chat.update", channel="C2", ts=ts, text="x") == "message_not_found"


async def test_an_ephemeral_message_is_for_one_person(slack: FakeSlack, client: AsyncWebClient) -> None:
    await client.chat_postEphemeral(channel="C2", user="U1", text="psst")

    assert [m.text for m in slack.ephemerals("U1")] == ["psst"]
    assert slack.messages("C2") == slack.messages("C2", seen_by="U2") == []
    assert (await client.conversations_history(channel="C2"))["messages"] == []
    assert await refused(client, "chat.postEphemeral", channel="C2", user="U9", text="x") == "user_not_in_channel"


async def test_a_permalink_points_at_the_message(slack: FakeSlack, client: AsyncWebClient) -> None:
    ts = await posted(client)

    found = await client.chat_getPermalink(channel="C2", message_ts=ts)

    assert str(found["permalink"]).endswith(f"/archives/C2/p{ts.replace('.', '')}")
    assert await refused(client, "chat.getPermalink", channel="C2", message_ts="1.0") == "message_not_found"


async def test_a_reaction_counts_once(slack: FakeSlack, client: AsyncWebClient) -> None:
    ts = await posted(client)

    await client.reactions_add(channel="C2", timestamp=ts, name="eyes")

    assert slack.messages("C2")[0].reactions == {"eyes": ["U0BOT"]}
    assert await refused(client, "reactions.add", channel="C2", timestamp=ts, name="eyes") == "already_reacted"
    assert await refused(client, "reactions.add", channel="C2", timestamp="1.0", name="eyes") == "message_not_found"


# ------------------------------------------------------------------ conversations and users


async def test_history_shows_the_newest_first_and_no_replies(slack: FakeSlack, client: AsyncWebClient) -> None:
    first = await posted(client, text="first")
    await posted(client, text="reply", thread_ts=first)
    await posted(client, text="broadcast", thread_ts=first, reply_broadcast=True)
    await posted(client, text="second")

    found = await client.conversations_history(channel="C2")

    assert [m["text"] for m in found["messages"]] == ["second", "broadcast", "first"]
    assert found["messages"][-1]["reply_count"] == 2


async def test_replies_start_with_their_parent(client: AsyncWebClient) -> None:
    first = await posted(client, text="first")
    reply = await posted(client, text="reply", thread_ts=first)

    found = await client.conversations_replies(channel="C2", ts=first)
    later = await client.conversations_replies(channel="C2", ts=first, oldest=reply)

    assert [m["text"] for m in found["messages"]] == ["first", "reply"]
    assert [m["text"] for m in later["messages"]] == ["first"]
    assert await refused(client, "conversations.replies", channel="C2", ts="1.0") == "thread_not_found"


async def test_pages_follow_their_cursor(client: AsyncWebClient) -> None:
    for number in range(5):
        await posted(client, text=str(number))

    first = await client.conversations_history(channel="C2", limit=2)
    pages = [[m["text"] for m in page["messages"]] async for page in first]

    assert pages == [["4", "3"], ["2", "1"], ["0"]]
    assert await refused(client, "conversations.history", channel="C2", cursor="?") == "invalid_cursor"
    assert await refused(client, "conversations.members", channel="C2", limit=1000) == "invalid_limit"


async def test_history_is_for_members(slack: FakeSlack, client: AsyncWebClient) -> None:
    slack.remove_bot("C1")

    assert await refused(client, "conversations.history", channel="C1") == "not_in_channel"
    assert await refused(client, "conversations.history", channel="C3") == "channel_not_found"


async def test_the_bot_knows_public_channels_and_its_own(slack: FakeSlack, client: AsyncWebClient) -> None:
    kinds = "public_channel,private_channel,im"
    found = await client.conversations_list(types=kinds)
    info = await client.conversations_info(channel="C1", include_num_members=True)
    members = await client.conversations_members(channel="C1")

    assert [c["id"] for c in found["channels"]] == ["C1", "C2", "D1", "D2", "D3", "D4", "D5"]
    assert (info["channel"]["is_member"], info["channel"]["num_members"]) == (True, 5)
    assert members["members"] == ["U1", "U2", "U3", "U4", "U0BOT"]
    assert await refused(client, "conversations.info", channel="C3") == "channel_not_found"
    assert await refused(client, "conversations.list", types="square") == "invalid_types"


async def test_a_conversation_opens_with_a_person(slack: FakeSlack, client: AsyncWebClient) -> None:
    slack.workspace.users["U4"].deleted = True

    assert (await client.conversations_open(users="U2"))["channel"]["id"] == "D2"
    assert await refused(client, "conversations.open", users="U9") == "user_not_found"
    assert await refused(client, "conversations.open", users="U4") == "user_disabled"
    assert await refused(client, "conversations.open") == "users_list_not_supplied"


async def test_a_group_of_people_shares_one_conversation(slack: FakeSlack, client: AsyncWebClient) -> None:
    opened = (await client.conversations_open(users="U1,U2", return_im=True))["channel"]
    again = (await client.conversations_open(users="U2,U1"))["channel"]
    await client.chat_postMessage(channel=opened["id"], text="to both")

    assert opened["id"] == again["id"]
    assert (opened["is_mpim"], opened["is_im"]) == (True, False)
    assert [m.text for m in slack.messages(opened["id"], seen_by="U2")] == ["to both"]
    assert slack.messages(opened["id"], seen_by="U3") == []
    assert (await client.conversations_open(users="U1"))["channel"]["id"] == "D1"


async def test_users_have_their_time_zone_and_locale(client: AsyncWebClient) -> None:
    ana = (await client.users_info(user="U1", include_locale=True))["user"]
    everybody = (await client.users_list())["members"]

    assert (ana["tz"], ana["tz_offset"] in (3600, 7200), ana["locale"]) == ("Europe/Berlin", True, "en-GB")
    assert [user["id"] for user in everybody] == ["U1", "U2", "U3", "U4", "U5", "U0BOT"]
    assert await refused(client, "users.info", user="U9") == "user_not_found"


async def test_a_group_lists_its_people(slack: FakeSlack, client: AsyncWebClient) -> None:
    slack.workspace.users["U3"].deleted = True

    assert (await client.usergroups_users_list(usergroup="S1"))["users"] == ["U2"]
    assert await refused(client, "usergroups.users.list", usergroup="S9") == "no_such_subteam"


async def test_the_bot_has_a_profile(client: AsyncWebClient) -> None:
    assert (await client.bots_info(bot="B0BOT"))["bot"]["app_id"] == CONFIG.app_id
    assert await refused(client, "bots.info", bot="B9") == "bot_not_found"


# ------------------------------------------------------------------ views


async def test_a_trigger_opens_one_modal(slack: FakeSlack, client: AsyncWebClient) -> None:
    trigger = slack.trigger("U1")

    found = await client.views_open(trigger_id=trigger, view=MODAL)

    view = slack.view_of("U1")
    assert view is not None
    assert (view.id, view.hash) == (found["view"]["id"], found["view"]["hash"])
    assert await refused(client, "views.open", trigger_id=trigger, view=MODAL) == "exchanged_trigger_id"
    assert await refused(client, "views.open", trigger_id="1.2.3", view=MODAL) == "invalid_trigger_id"


async def test_a_trigger_lives_three_seconds(slack: FakeSlack, client: AsyncWebClient) -> None:
    in_time, late = slack.trigger("U1"), slack.trigger("U2")

    await slack.advance(2.9)
    await client.views_open(trigger_id=in_time, view=MODAL)
    await slack.advance(0.2)

    assert await refused(client, "views.open", trigger_id=late, view=MODAL) == "expired_trigger_id"


async def test_triggers_can_be_made_to_expire_at_once(slack: FakeSlack, client: AsyncWebClient) -> None:
    slack.faults.expire_triggers = True

    assert await refused(client, "views.open", trigger_id=slack.trigger("U1"), view=MODAL) == "expired_trigger_id"


async def test_at_most_three_views_are_stacked(slack: FakeSlack, client: AsyncWebClient) -> None:
    await client.views_open(trigger_id=slack.trigger("U1"), view=MODAL)
    for _ in range(2):
        await client.views_push(trigger_id=slack.trigger("U1"), view=MODAL)

    assert await refused(client, "views.push", trigger_id=slack.trigger("U1"), view=MODAL) == "push_limit_reached"
    assert await refused(client, "views.push", trigger_id=slack.trigger("U2"), view=MODAL) == "not_found"


async def test_an_update_needs_the_current_hash(slack: FakeSlack, client: AsyncWebClient) -> None:
    first = (await client.views_open(trigger_id=slack.trigger("U1"), view={**MODAL, "external_id": "x"}))["view"]
    await client.views_update(external_id="x", view={**MODAL, "external_id": "x"})

    async def code(**args: Any) -> str:
        return await refused(client, "views.update", **{"view": MODAL, **args})

    assert await code(view_id=first["id"], hash=first["hash"]) == "hash_conflict"
    assert await code(view_id="V9") == "not_found"
    assert await code() == "invalid_arguments"


async def test_an_external_id_belongs_to_one_view(slack: FakeSlack, client: AsyncWebClient) -> None:
    view = {**MODAL, "external_id": "x"}
    await client.views_open(trigger_id=slack.trigger("U1"), view=view)

    assert await refused(client, "views.open", trigger_id=slack.trigger("U2"), view=view) == "duplicate_external_id"


async def test_a_home_is_published_for_one_person(slack: FakeSlack, client: AsyncWebClient) -> None:
    first = (await client.views_publish(user_id="U1", view=HOME))["view"]
    await client.views_publish(user_id="U1", view=HOME, hash=first["hash"])

    assert slack.home_of("U1") is not None
    assert slack.home_of("U2") is None
    assert await refused(client, "views.publish", user_id="U1", view=HOME, hash=first["hash"]) == "hash_conflict"
    assert await refused(client, "views.publish", user_id="U1", view=MODAL) == "invalid_arguments"


# ------------------------------------------------------------------ files


async def test_files_upload_v2_shares_a_file(slack: FakeSlack, client: AsyncWebClient) -> None:
    parent = await posted(client)

    found = await client.files_upload_v2(
        channel="C2", thread_ts=parent, filename="draft.md", content="# long", initial_comment="the draft"
    )

    message = slack.messages("C2", thread_ts=parent)[0]
    assert (message.text, message.subtype) == ("the draft", "file_share")
    assert slack.workspace.files[message.files[0]].content == b"# long"
    async with aiohttp.ClientSession() as http, http.get(found["file"]["url_private"]) as response:
        assert await response.text() == "# long"


async def test_a_file_that_never_came_cannot_be_shared(slack: FakeSlack, client: AsyncWebClient) -> None:
    promised = await client.files_getUploadURLExternal(filename="x.txt", length=3)

    code = await refused(client, "files.completeUploadExternal", files=[{"id": promised["file_id"]}])

    assert code == "file_not_found"


async def test_an_upload_must_have_the_promised_length(slack: FakeSlack, client: AsyncWebClient) -> None:
    promised = await client.files_getUploadURLExternal(filename="x.txt", length=3)

    async with aiohttp.ClientSession() as http, http.post(str(promised["upload_url"]), data=b"four") as response:
        assert response.status == 400


# ------------------------------------------------------------------ response URLs


async def test_a_response_url_works_five_times(slack: FakeSlack) -> None:
    hook = AsyncWebhookClient(slack.response_url("C3", "U1"))

    answers = [await hook.send(text=str(number)) for number in range(6)]

    assert [(a.status_code, a.body) for a in answers[:5]] == [(200, "ok")] * 5
    assert (answers[5].status_code, json.loads(answers[5].body)["error"]) == (404, "used_url")
    assert [m.text for m in slack.ephemerals("U1", "C3")] == ["0", "1", "2", "3", "4"]


async def test_a_response_url_works_for_half_an_hour(slack: FakeSlack) -> None:
    hook = AsyncWebhookClient(slack.response_url("C2", "U1"))

    await slack.advance(1_799)
    in_time = await hook.send(text="now", response_type="in_channel")
    await slack.advance(2)
    late = await hook.send(text="too late")

    assert (in_time.status_code, late.status_code) == (200, 404)
    assert [m.text for m in slack.messages("C2")] == ["now"]


async def test_an_ephemeral_message_changes_only_through_its_response_url(
    slack: FakeSlack, client: AsyncWebClient
) -> None:
    await client.chat_postEphemeral(channel="C2", user="U1", text="psst")
    message = slack.ephemerals("U1")[0]
    hook = AsyncWebhookClient(slack.response_url("C2", "U1", message))

    refusal = await refused(client, "chat.update", channel="C2", ts=message.ts, text="x")
    await hook.send(text="changed", replace_original=True)
    changed = message.text
    await hook.send(delete_original=True)

    assert (refusal, changed) == ("message_not_found", "changed")
    assert slack.ephemerals("U1") == []


async def test_a_response_url_checks_what_it_is_sent(slack: FakeSlack) -> None:
    hook = AsyncWebhookClient(slack.response_url("C2", "U1"))

    answers = [await hook.send(text=""), await hook.send(text="x", blocks=[{"type": "nonsense"}])]

    assert [json.loads(answer.body)["error"] for answer in answers] == ["no_text", "invalid_blocks"]


# ------------------------------------------------------------------ faults


async def test_a_rate_limit_says_how_long_to_wait(slack: FakeSlack, client: AsyncWebClient) -> None:
    slack.faults.fail("chat.postMessage", "ratelimited", retry_after=7)

    with pytest.raises(SlackApiError) as caught:
        await posted(client)
    await posted(client)

    assert (caught.value.response.status_code, caught.value.response.headers["Retry-After"]) == (429, "7")
    assert len(slack.messages("C2")) == 1


@pytest.mark.parametrize("applied", [False, True])
async def test_a_lost_answer_may_hide_a_message_that_was_posted(
    slack: FakeSlack, client: AsyncWebClient, applied: bool
) -> None:
    slack.faults.fail("chat.postMessage", "reset", applied=applied)
    client.retry_handlers.clear()  # the SDK's own would post again

    with pytest.raises(aiohttp.ClientError):
        await posted(client)

    assert len(slack.messages("C2")) == int(applied)
    assert slack.log[-1].status is None


@pytest.mark.parametrize(("kind", "status"), [("server_error", 500), ("html", 503)])
async def test_a_server_error_touches_only_the_method_it_is_set_for(
    slack: FakeSlack, client: AsyncWebClient, kind: Any, status: int
) -> None:
    slack.faults.fail("chat.update", kind)
    ts = await posted(client)

    with pytest.raises(SlackApiError) as caught:
        await client.chat_update(channel="C2", ts=ts, text="x")

    assert caught.value.response.status_code == status
    assert slack.messages("C2")[0].text == "hello"


async def test_a_token_can_be_made_to_be_revoked(slack: FakeSlack, client: AsyncWebClient) -> None:
    slack.faults.fail("auth.test", "error", code="token_revoked")

    assert await refused(client, "auth.test") == "token_revoked"


# ------------------------------------------------------------------ waiting and restarting


async def test_wait_for_says_when_it_gives_up(slack: FakeSlack) -> None:
    with pytest.raises(TimeoutError):
        await slack.wait_for(lambda: slack.messages("C2"), timeout_s=0.01)


async def test_everything_survives_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "slack.json"
    async with FakeSlack(CONFIG, state_file=state) as slack:
        client = AsyncWebClient(token=CONFIG.bot_token, base_url=slack.api_base_url)
        await posted(client, blocks=[SECTION])
        await client.files_upload_v2(channel="C2", filename="a.bin", content=b"\x00\xff")
        await client.views_publish(user_id="U1", view=HOME)
        await client.views_open(trigger_id=slack.trigger("U1"), view=MODAL)
        slack.response_url("C2", "U1")
        await slack.advance(60)
        before = slack.workspace

    async with FakeSlack(CONFIG, state_file=state) as again:
        assert again.workspace == before
        assert again.clock.offset_s == 60
        assert again.mint_ts() > before.messages["C2"][-1].ts


async def test_a_state_file_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    state = tmp_path / "slack.json"
    state.write_text('{"version": 0}')

    with pytest.raises(StateFileError, match="move it away"):
        async with FakeSlack(CONFIG, state_file=state):
            pass
