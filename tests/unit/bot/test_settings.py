"""Settings are right, or people are told at once everything that is wrong and where to find it."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bot.settings import Settings, SettingsError, is_loopback, load
from engine.keyring import new_key

GOOD = {"SLACK_BOT_TOKEN": "xoxb-1-abc", "SLACK_SIGNING_SECRET": "8f742231b10e8888"}


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields.values():
        assert field.alias is not None
        monkeypatch.delenv(field.alias, raising=False)
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Any:
    def put(**values: str) -> None:
        for name, value in {**GOOD, **values}.items():
            monkeypatch.setenv(name, value)

    return put


def problems(**given: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        load(None, **given)
    return str(caught.value)


def test_two_secrets_are_enough(environment: Any) -> None:
    environment()

    settings = load(None)

    assert settings.bot_token == SecretStr("xoxb-1-abc")
    assert not settings.many_workspaces
    assert (settings.host, settings.port, settings.request_path) == ("127.0.0.1", 3000, "/slack/events")
    assert settings.workflows == Path("workflows")
    assert settings.api_base_url == "https://slack.com/api/"
    assert settings.thread_replies
    assert not settings.socket_mode


def test_every_setting_has_a_well_known_name() -> None:
    assert {field.alias for field in Settings.model_fields.values()} == {
        *("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "SLACK_APP_TOKEN", "SLACK_API_BASE_URL", "SLACK_REQUEST_PATH"),
        *("REDIS_URL", "SIGNOFF_HOST", "SIGNOFF_PORT", "SIGNOFF_WORKFLOWS", "SIGNOFF_KEY_PREFIX", "SIGNOFF_LANES"),
        *("SIGNOFF_LEASE_S", "SIGNOFF_SWEEP_S", "SIGNOFF_LOG_LEVEL", "SIGNOFF_LOG_FORMAT", "SIGNOFF_THREAD_REPLIES"),
        *("SLACK_CLIENT_ID", "SLACK_CLIENT_SECRET", "SLACK_AUTHORIZE_URL", "SIGNOFF_PUBLIC_URL"),
        *(
            "SIGNOFF_DURABILITY",
            "SIGNOFF_ENCRYPTION_KEYS",
            "SIGNOFF_PATIENCE_S",
            "SIGNOFF_DRAIN_S",
            "SIGNOFF_LANGUAGE",
            "SIGNOFF_PER_MINUTE",
            "SIGNOFF_METRICS_TOKEN",
            "SIGNOFF_METRICS_PORT",
        ),
        *("SIGNOFF_MODEL", "SIGNOFF_MODEL_URL", "SIGNOFF_MODEL_KEY", "SIGNOFF_MODEL_TIMEOUT_S"),
        "SIGNOFF_ALLOW_GUESTS",
    }


def test_the_environment_is_read(environment: Any) -> None:
    environment(SIGNOFF_PORT="8080", SIGNOFF_THREAD_REPLIES="no", SIGNOFF_LOG_LEVEL="debug", SIGNOFF_LOG_FORMAT="JSON")

    settings = load(None)

    assert (settings.port, settings.thread_replies, settings.log_level, settings.log_format) == (
        8080,
        False,
        "DEBUG",
        "json",
    )


def test_an_env_file_is_read_and_the_environment_wins(environment: Any, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("SIGNOFF_PORT=1111\nSIGNOFF_HOST=0.0.0.0\nSIGNOFF_UNHEARD_OF=1\n")
    environment(SIGNOFF_PORT="2222")

    settings = load(file)

    assert (settings.port, settings.host) == (2222, "0.0.0.0")


def test_what_the_caller_gives_wins(environment: Any) -> None:
    environment(SIGNOFF_PORT="2222")

    assert load(None, port=0).port == 0


def test_an_app_token_means_socket_mode_and_needs_no_signing_secret() -> None:
    settings = load(None, bot_token="xoxb-1", app_token="xapp-1-abc")

    assert settings.socket_mode


def test_an_empty_value_is_no_value(environment: Any) -> None:
    environment(SLACK_APP_TOKEN="", REDIS_URL="")

    settings = load(None)

    assert settings.app_token is None
    assert settings.redis_url.get_secret_value() == "redis://127.0.0.1:6379/0"


def test_everything_missing_is_told_at_once_and_where_to_find_it() -> None:
    assert problems() == (
        "Signoff cannot start:\n"
        "  SLACK_BOT_TOKEN is missing\n"
        "      api.slack.com/apps > your app > OAuth & Permissions > Bot User OAuth Token; it begins with xoxb-\n"
        "  SLACK_APP_TOKEN is missing\n"
        "      api.slack.com/apps > your app > Basic Information > App-Level Tokens, with the scope connections:write; "
        "it begins with xapp-\n"
        "  SLACK_SIGNING_SECRET takes its place where Slack is to call this bot over HTTP\n"
        "      api.slack.com/apps > your app > Basic Information > App Credentials > Signing Secret"
    )


def test_everything_wrong_is_told_at_once(environment: Any) -> None:
    environment(SLACK_BOT_TOKEN="xoxp-user", SIGNOFF_PORT="abc", SIGNOFF_LANES="0", SIGNOFF_LOG_FORMAT="xml")

    told = problems()

    for name in ("SLACK_BOT_TOKEN is not a bot token", "SIGNOFF_PORT", "SIGNOFF_LANES", "SIGNOFF_LOG_FORMAT"):
        assert name in told
    assert "xoxp-user" not in told
    assert "Traceback" not in told


def test_a_wrong_token_does_not_hide_a_missing_secret() -> None:
    assert "SLACK_APP_TOKEN is missing" in problems(bot_token="xoxp-1")


@pytest.mark.parametrize(
    "url",
    ["http://evil.example/api/", "http://10.0.0.1/", "ftp://slack.com/", "slack.com", "https://", "http://[::1", ""],
)
def test_plain_http_is_for_this_machine_only(url: str) -> None:
    assert "SLACK_API_BASE_URL" in problems(bot_token="xoxb-1", signing_secret="s", api_base_url=url)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080/api", "http://localhost/api/", "http://[::1]:1/api/", "https://x/"]
)
def test_a_fake_slack_on_this_machine_is_fine(url: str) -> None:
    settings = load(None, bot_token="xoxb-1", signing_secret="s", api_base_url=url)

    assert settings.api_base_url.endswith("/")


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("SLACK_APP_TOKEN", "app_token", "xoxb-1"),
        ("SLACK_REQUEST_PATH", "request_path", "slack"),
        ("REDIS_URL", "redis_url", "http://x"),
        ("REDIS_URL", "redis_url", "valkey://x"),
        ("REDIS_URL", "redis_url", "unix+cluster://x"),
        ("REDIS_URL", "redis_url", "redis+sentinel://h:1,h:2"),
        ("SIGNOFF_DURABILITY", "durability", "everywhere"),
        ("SIGNOFF_ENCRYPTION_KEYS", "encryption_keys", "correct horse"),
        ("SIGNOFF_KEY_PREFIX", "key_prefix", "a{b}"),
        ("SIGNOFF_LEASE_S", "lease_s", 0),
        ("SIGNOFF_SWEEP_S", "sweep_s", -1),
        ("SIGNOFF_PATIENCE_S", "patience_s", -1),
        ("SIGNOFF_DRAIN_S", "drain_s", -1),
        ("SIGNOFF_PORT", "port", 70_000),
    ],
)
def test_each_setting_is_checked(name: str, field: str, value: object) -> None:
    assert name in problems(bot_token="xoxb-1", signing_secret="s", **{field: value})


@pytest.mark.parametrize(
    "url",
    [
        *("redis://h:1/0", "rediss://u:p@h", "unix:///run/redis.sock", "redis+cluster://h", "redis+sentinel://h/x"),
        *("rediss+cluster://h?ssl_ca_certs=/a", "rediss+sentinel://u:p@h:1,[::1]:2/x/0?sentinel_password=p"),
    ],
)
def test_every_kind_of_redis_is_an_address(url: str) -> None:
    assert load(None, bot_token="xoxb-1", signing_secret="s", redis_url=url).redis_url.get_secret_value() == url


def test_secrets_do_not_show_and_are_known_to_the_log() -> None:
    settings = load(
        None, bot_token="xoxb-1-abc", signing_secret="shhhhhh", app_token="xapp-1", redis_url="redis://u:hunter2@h/0"
    )

    for secret in ("xoxb-1-abc", "shhhhhh", "xapp-1", "hunter2"):
        assert secret not in repr(settings)
        assert secret in settings.secrets


@pytest.mark.parametrize(
    ("url", "passwords"),
    [
        (
            "redis+sentinel://u:hunter2@h:1,[::1]:2/x?sentinel_password=s%40crets&a=b",
            {"hunter2", "s%40crets", "s@crets"},
        ),
        ("redis+cluster://:p%2Fword@h", {"p%2Fword", "p/word"}),
        ("rediss://h/0?password=hunter2&ssl_password=opensesame#x", {"hunter2", "opensesame"}),
        ("redis://h:6379/0", set()),
    ],
)
def test_every_password_in_an_address_is_known_to_the_log(url: str, passwords: set[str]) -> None:
    settings = load(None, bot_token="xoxb-1-abc", signing_secret="shhhhhh", redis_url=url)

    assert passwords <= set(settings.secrets)
    assert len(settings.secrets) == len(passwords) + 2


def test_the_keys_that_models_clients_find_by_themselves_are_known_to_the_log(environment: Any) -> None:
    environment(OPENAI_API_KEY="an-openai-key", ANTHROPIC_API_KEY="an-anthropic-key", SIGNOFF_MODEL_KEY="another-key")

    assert {"an-openai-key", "an-anthropic-key", "another-key"} <= set(load(None).secrets)


def test_keys_are_secrets_each_by_itself() -> None:
    new, old = new_key(), new_key()

    settings = load(None, bot_token="xoxb-1", signing_secret="s", encryption_keys=f"{new}, {old},plain")

    assert {new, old} <= set(settings.secrets)
    assert "plain" not in settings.secrets
    assert settings.keyring.seals
    assert not any(key in repr(settings) for key in (new, old))


def test_a_bad_key_is_told_and_not_shown() -> None:
    told = problems(bot_token="xoxb-1", signing_secret="s", encryption_keys=f"{new_key()},hunter2")

    assert "SIGNOFF_ENCRYPTION_KEYS key 2 is not 32 bytes" in told
    assert "hunter2" not in told


@pytest.mark.parametrize(("given", "replicas"), [("local", 0), ("replica", 1), ("REPLICA", 1)])
def test_durability_says_how_many_replicas_are_waited_for(given: str, replicas: int) -> None:
    assert load(None, bot_token="xoxb-1", signing_secret="s", durability=given).replicas == replicas


def test_an_empty_variable_hides_what_an_env_file_has(environment: Any, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("SLACK_APP_TOKEN=xapp-1\nSIGNOFF_PORT=4000\n")
    environment(SLACK_APP_TOKEN="")

    settings = load(file)

    assert settings.app_token is None
    assert settings.port == 4000


def test_an_env_file_in_another_encoding_is_told(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"SLACK_BOT_TOKEN=\xff\xfe")

    with pytest.raises(SettingsError, match="is not UTF-8 text"):
        load(file)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("169.254.169.254", False), ("localhost.evil", False)],
)
def test_loopback_is_this_machine(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_messages_are_in_a_language_that_is_written(environment: Any) -> None:
    environment(SIGNOFF_LANGUAGE="DE")

    assert load(None).language == "de"

    environment(SIGNOFF_LANGUAGE="xx")
    with pytest.raises(SettingsError, match="SIGNOFF_LANGUAGE is a language nobody has written yet; there is en, de"):
        load(None)


MANY = {
    "bot_token": None,
    "client_id": "1.2",
    "client_secret": "a-client-secret",
    "public_url": "https://signoff.example.com/",
    "signing_secret": "8f742231b10e8888",
    "encryption_keys": new_key(),
}


def test_an_app_for_many_workspaces_needs_no_token_of_one() -> None:
    settings = load(None, **MANY)

    assert settings.many_workspaces
    assert settings.public_url == "https://signoff.example.com"
    assert settings.authorize_url == "https://slack.com/oauth/v2/authorize"
    assert "a-client-secret" in settings.secrets
    assert "a-client-secret" not in repr(settings)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"client_secret": None}, "SLACK_CLIENT_SECRET is missing"),
        ({"client_id": ""}, "SLACK_CLIENT_ID is missing"),
        ({"public_url": ""}, "SIGNOFF_PUBLIC_URL is missing"),
        ({"public_url": "http://signoff.example.com"}, "SIGNOFF_PUBLIC_URL is not an https address"),
        ({"public_url": "https://a.example/?b=c"}, "SIGNOFF_PUBLIC_URL is not an https address"),
        ({"authorize_url": "ftp://slack.com"}, "SLACK_AUTHORIZE_URL is not an https address"),
        ({"bot_token": "xoxb-1"}, "SLACK_BOT_TOKEN is for one workspace and SLACK_CLIENT_ID for many"),
        ({"encryption_keys": "plain"}, "SIGNOFF_ENCRYPTION_KEYS must begin with a key"),
        ({"signing_secret": None}, "SLACK_APP_TOKEN is missing"),
    ],
)
def test_what_an_app_for_many_workspaces_lacks_is_told(given: dict[str, Any], told: str) -> None:
    text = problems(**{**MANY, **given})

    assert told in text
    assert "a-client-secret" not in text


def test_what_does_not_fit_together_is_told_beside_what_is_wrong() -> None:
    text = problems(**{**MANY, "port": -1, "bot_token": "xoxp-1", "client_secret": None})

    assert [line.split()[0] for line in text.splitlines()[1:] if not line.startswith("      ")] == [
        *("SLACK_BOT_TOKEN", "SIGNOFF_PORT", "SLACK_CLIENT_SECRET")
    ]


def test_figures_are_for_whoever_has_a_token_that_is_no_guess(environment: Any) -> None:
    environment(SIGNOFF_METRICS_TOKEN="prometheus")

    assert "SIGNOFF_METRICS_TOKEN is too short to keep anybody out: it takes 16 characters or more" in problems()


def test_a_port_for_figures_wants_a_token(environment: Any) -> None:
    environment(SIGNOFF_METRICS_PORT="9090")

    assert "SIGNOFF_METRICS_TOKEN is missing" in problems()


def test_the_token_for_figures_is_not_logged(environment: Any) -> None:
    environment(SIGNOFF_METRICS_TOKEN="a-token-of-prometheus")

    assert "a-token-of-prometheus" in load(None).secrets
