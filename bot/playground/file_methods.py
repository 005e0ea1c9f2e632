"""The Web API's `files.*` as `files_upload_v2` uses them, and the two addresses files travel through."""

from aiohttp import web

from bot.playground.arguments import Arguments, Failure
from bot.playground.chat_methods import post, thread_of, writable_channel
from bot.playground.platform import Platform
from bot.playground.rendering import file_json
from bot.playground.workspace import File, Json, Message

LIMIT_BYTES = 1_000_000_000
ALT_TEXT = 1_000


def upload_url(slack: Platform, args: Arguments) -> Json:
    length = args.number("length", 0)
    if length < 1:
        raise Failure("invalid_arguments", "must be greater than 0 [json-pointer:/length]")
    if length > LIMIT_BYTES:
        raise Failure("file_upload_size_restricted")
    if len(args.text("alt_txt")) > ALT_TEXT:
        raise Failure("alt_txt_too_large")
    name = args.text("filename")
    file = File(slack.workspace.mint_id("F"), name, name, slack.app.bot_user_id, length)
    slack.workspace.files[file.id] = file
    return {"ok": True, "upload_url": f"{slack.url}/upload/{file.id}", "file_id": file.id}


def complete_upload(slack: Platform, args: Arguments) -> Json:
    rows = args.data("files", "invalid_arguments")
    if not isinstance(rows, list) or not rows:
        raise Failure("invalid_arguments", "must be an array of at least one file [json-pointer:/files]")
    files = []
    for row in rows:
        file = slack.workspace.files.get(str(row.get("id"))) if isinstance(row, dict) else None
        if file is None or not file.uploaded:
            raise Failure("file_not_found")
        file.title = row.get("title") or file.name
        file.created = int(slack.clock.now())
        files.append(file)
    named = [args.text("channel_id"), *args.text("channels").split(",")]
    for name in dict.fromkeys(name for name in named if name):
        _share(slack, args, name, files)
    slack.pulse.touch()
    return {"ok": True, "files": [file_json(slack, file) for file in files]}


def _share(slack: Platform, args: Arguments, name: str, files: list[File]) -> None:
    channel = writable_channel(slack, name)
    for file in files:
        file.shared.append(channel.id)
    message = Message(
        channel.id,
        "",
        slack.app.bot_user_id,
        args.text("initial_comment"),
        thread_ts=thread_of(slack, channel, args.text("thread_ts")),
        bot_id=slack.app.bot_id,
        subtype="file_share",
        files=[file.id for file in files],
    )
    post(slack, message)


def file_info(slack: Platform, args: Arguments) -> Json:
    file = slack.workspace.files.get(args.text("file"))
    if file is None:
        raise Failure("file_not_found")
    return {"ok": True, "file": file_json(slack, file)}


async def receive_upload(slack: Platform, request: web.Request) -> web.Response:
    """The address that `files.getUploadURLExternal` gave out; the body is the file, raw or as a form."""
    file = slack.workspace.files.get(request.match_info["id"])
    if file is None or file.uploaded:
        return web.Response(status=404, text="unknown upload")
    if request.content_type == "multipart/form-data":
        parts = [part for part in (await request.post()).values() if isinstance(part, web.FileField)]
        content = parts[0].file.read() if parts else b""
    else:
        content = await request.read()
    if len(content) != file.size:
        return web.Response(status=400, text=f"expected {file.size} bytes, got {len(content)}")
    file.content, file.uploaded = content, True
    return web.Response(text=f"OK - {file.size}")


def serve_file(slack: Platform, request: web.Request) -> web.Response:
    file = slack.workspace.files.get(request.match_info["id"])
    if file is None or not file.uploaded:
        return web.Response(status=404, text="no such file")
    # An upload is never run in the playground's own origin, whatever it says it is.
    headers = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}
    return web.Response(body=file.content, content_type="text/plain", charset="utf-8", headers=headers)


METHODS = {
    "files.getUploadURLExternal": upload_url,
    "files.completeUploadExternal": complete_upload,
    "files.info": file_info,
}
