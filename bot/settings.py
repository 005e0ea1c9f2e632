"""Every setting, read once from the environment and ``.env``, and what to tell people when one is wrong."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, DotEnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from bot.languages import CATALOGUES
from engine.keyring import PLAIN, Keyring
from engine.run_store import PATIENCE_S

WHERE = {
    "SLACK_BOT_TOKEN": "api.slack.com/apps > your app > OAuth & Permissions > Bot User OAuth Token; "
    "it begins with xoxb-",
    "SLACK_SIGNING_SECRET": "api.slack.com/apps > your app > Basic Information > App Credentials > Signing Secret",
    "SLACK_CLIENT_ID": "api.slack.com/apps > your app > Basic Information > App Credentials > Client ID",
    "SLACK_CLIENT_SECRET": "api.slack.com/apps > your app > Basic Information > App Credentials > Client Secret",
    "SIGNOFF_PUBLIC_URL": "where people reach this bot, as https://signoff.example.com; "
    "the app's redirect URL is that with /slack/oauth_redirect behind it",
    "SIGNOFF_ENCRYPTION_KEYS": "`signoff key` makes one",
    "SIGNOFF_METRICS_TOKEN": "whatever your Prometheus brings as its bearer token",
    "SLACK_APP_TOKEN": "api.slack.com/apps > your app > Basic Information > App-Level Tokens, with the scope "
    "connections:write; it begins with xapp-",
}


TOKEN_CHARS = 16
S = TypeVar("S", bound="_Environment")


class SettingsError(Exception):
    """Settings are missing or wrong. The message lists all of them, for people, one a line."""


class _Environment(BaseSettings):
    """How each part is read."""

    model_config = SettingsConfigDict(
        env_ignore_empty=True, extra="ignore", frozen=True, populate_by_name=True, env_file_encoding="utf-8"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let a variable that is there and empty hide what the file has under its name, too."""
        if isinstance(dotenv_settings, DotEnvSettingsSource):
            hidden = {name.lower() for name, value in os.environ.items() if not value}
            kept = {name: value for name, value in dotenv_settings.env_vars.items() if name.lower() not in hidden}
            dotenv_settings.env_vars = kept
        return init_settings, env_settings, dotenv_settings, file_secret_settings


class WriterSettings(_Environment):
    """What the environment says of who writes texts. Secrets do not show in a repr."""

    model: str = Field(default="", alias="SIGNOFF_MODEL")
    """As pydantic-ai names it, ``openai:gpt-5`` or ``anthropic:claude-sonnet-4-5``; "": texts come from templates."""
    model_url: str | None = Field(default=None, alias="SIGNOFF_MODEL_URL")
    """Of a server that speaks OpenAI's language; None: the provider's own."""
    model_key: SecretStr | None = Field(default=None, alias="SIGNOFF_MODEL_KEY")
    """None: where the provider's client looks by itself, as OPENAI_API_KEY."""
    model_timeout_s: float = Field(default=60.0, gt=0, le=600, alias="SIGNOFF_MODEL_TIMEOUT_S")

    @field_validator("model_url")
    @classmethod
    def _is_address(cls, given: str | None) -> str | None:
        if given is not None and re.match(r"https?://[^/]", given) is None:
            raise ValueError("is not an address, as http://127.0.0.1:11434/v1")
        return given


def _workflows() -> Path:
    """Return the folder that is meant if none is named: the one here, else the files that come with the package."""
    here = Path("workflows")
    shipped = Path(__file__).parent / "builtin_workflows"
    beside = Path(__file__).parent.parent / "workflows"  # in a checkout; beside an installed bot it is LlamaIndex's
    return next((folder for folder in (here, shipped, beside) if folder.is_dir()), here)


class WorkflowSettings(_Environment):
    """What the environment says of where the workflow files are."""

    workflows: Path = Field(default_factory=_workflows, alias="SIGNOFF_WORKFLOWS")


class StoreSettings(WorkflowSettings):
    """What the environment says of where runs are kept. Secrets do not show in a repr."""

    redis_url: SecretStr = Field(default=SecretStr("redis://127.0.0.1:6379/0"), alias="REDIS_URL")
    durability: Literal["local", "replica"] = Field(default="local", alias="SIGNOFF_DURABILITY")
    """With "replica", nobody is told that something is kept before a replica of Redis has it, too."""
    encryption_keys: SecretStr = Field(default=SecretStr(PLAIN), alias="SIGNOFF_ENCRYPTION_KEYS")
    """Keys with commas between them: the first encrypts, each decrypts; "plain" stands for none. See `Keyring`."""
    key_prefix: str = Field(default="signoff", alias="SIGNOFF_KEY_PREFIX")
    lanes: int = Field(default=16, ge=1, le=1024, alias="SIGNOFF_LANES")
    """Slots that runs are spread over; it may be raised, and is never lowered while runs are open."""
    patience_s: float = Field(default=PATIENCE_S, ge=0, le=86_400, alias="SIGNOFF_PATIENCE_S")
    """How long a run that some workers cannot read, as while a deploy rolls, is left to others before it is parked."""

    @property
    def keyring(self) -> Keyring:
        """What encrypts and decrypts what is kept."""
        return Keyring.parse(self.encryption_keys.get_secret_value())

    @property
    def replicas(self) -> int:
        """How many replicas have what somebody is told is kept."""
        return 1 if self.durability == "replica" else 0

    @field_validator("durability", "log_format", mode="before", check_fields=False)
    @classmethod
    def _lower(cls, given: Any) -> Any:
        return given.lower() if isinstance(given, str) else given

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, given: SecretStr) -> SecretStr:
        if re.match(r"(unix|rediss?(\+cluster|\+sentinel(?=://[^/]+/\w))?)://", given.get_secret_value()) is None:
            raise ValueError(
                "is not a Redis address, as redis://127.0.0.1:6379/0, rediss://host, unix:///path, "
                "redis+cluster://host or redis+sentinel://host:26379,host:26379/service"
            )
        return given

    @field_validator("encryption_keys")
    @classmethod
    def _are_keys(cls, given: SecretStr) -> SecretStr:
        Keyring.parse(given.get_secret_value())
        return given

    @field_validator("key_prefix")
    @classmethod
    def _is_key(cls, given: str) -> str:
        if re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", given) is None:
            raise ValueError("takes 1 to 64 letters, digits, dots, dashes and underscores")
        return given


class Settings(StoreSettings, WriterSettings):
    """What the environment says, of Slack and of how the process works, too."""

    bot_token: SecretStr | None = Field(default=None, alias="SLACK_BOT_TOKEN")
    """For one workspace; without it many may install the app, which the client id is for."""
    client_id: str = Field(default="", alias="SLACK_CLIENT_ID")
    client_secret: SecretStr | None = Field(default=None, alias="SLACK_CLIENT_SECRET")
    public_url: str = Field(default="", alias="SIGNOFF_PUBLIC_URL")
    """Where people's browsers reach this bot to install the app."""
    signing_secret: SecretStr | None = Field(default=None, alias="SLACK_SIGNING_SECRET")
    app_token: SecretStr | None = Field(default=None, alias="SLACK_APP_TOKEN")
    """If set, Slack is reached through a socket and needs no public address."""
    api_base_url: str = Field(default="https://slack.com/api/", alias="SLACK_API_BASE_URL")
    authorize_url: str = Field(default="https://slack.com/oauth/v2/authorize", alias="SLACK_AUTHORIZE_URL")
    request_path: str = Field(default="/slack/events", alias="SLACK_REQUEST_PATH")
    host: str = Field(default="127.0.0.1", alias="SIGNOFF_HOST")
    port: int = Field(default=3000, ge=0, le=65535, alias="SIGNOFF_PORT")
    lease_s: float = Field(default=30.0, ge=1, le=3600, alias="SIGNOFF_LEASE_S")
    sweep_s: float = Field(default=1.0, gt=0, le=3600, alias="SIGNOFF_SWEEP_S")
    drain_s: float = Field(default=25.0, ge=0, le=3600, alias="SIGNOFF_DRAIN_S")
    """How long what is in hand may take when the process is told to stop. Kubernetes waits 30 s before it kills."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="INFO", alias="SIGNOFF_LOG_LEVEL")
    log_format: Literal["text", "json"] = Field(default="text", alias="SIGNOFF_LOG_FORMAT")
    metrics_token: SecretStr | None = Field(default=None, alias="SIGNOFF_METRICS_TOKEN")
    """Whoever brings it may read /metrics; None: nobody."""
    metrics_port: int | None = Field(default=None, ge=0, le=65535, alias="SIGNOFF_METRICS_PORT")
    """Where /metrics is; None: where Slack's requests come, which a worker has not."""
    per_minute: float = Field(default=60, ge=0, allow_inf_nan=False, alias="SIGNOFF_PER_MINUTE")
    """Commands, clicks and modals that one person may send a minute, after the first 60; 0: without limit."""
    language: str = Field(default="en", alias="SIGNOFF_LANGUAGE")
    """Of messages that many read; what one person is told is in that person's."""
    allow_guests: bool = Field(default=False, alias="SIGNOFF_ALLOW_GUESTS")
    """Guests and people of other workspaces may answer every question; else those only that say so."""
    thread_replies: bool = Field(default=True, alias="SIGNOFF_THREAD_REPLIES")
    """Read replies in threads; off where the app has no history scopes."""

    @property
    def socket_mode(self) -> bool:
        return self.app_token is not None

    @property
    def many_workspaces(self) -> bool:
        return bool(self.client_id)

    @property
    def secrets(self) -> list[str]:
        """Everything that must never be logged."""
        held = [
            self.bot_token,
            self.signing_secret,
            self.app_token,
            self.client_secret,
            self.model_key,
            self.metrics_token,
        ]
        return [
            *(secret.get_secret_value() for secret in held if secret is not None),
            *(key for key in re.split(r"[,\s]+", self.encryption_keys.get_secret_value()) if key not in ("", PLAIN)),
            *_passwords(self.redis_url.get_secret_value()),
            *(value for name, value in os.environ.items() if value and name.endswith("_API_KEY")),  # models' clients'
        ]

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, given: Any) -> Any:
        return given.upper() if isinstance(given, str) else given

    @field_validator("language")
    @classmethod
    def _is_known(cls, given: str) -> str:
        if given.lower() not in CATALOGUES:
            raise ValueError(f"is a language nobody has written yet; there is {', '.join(CATALOGUES)}")
        return given.lower()

    @field_validator("bot_token")
    @classmethod
    def _is_bot_token(cls, given: SecretStr | None) -> SecretStr | None:
        if given is not None and not given.get_secret_value().startswith("xoxb-"):
            raise ValueError("is not a bot token: one begins with xoxb-")
        return given

    @field_validator("metrics_token")
    @classmethod
    def _is_long(cls, given: SecretStr | None) -> SecretStr | None:
        if given is not None and len(given.get_secret_value()) < TOKEN_CHARS:
            raise ValueError(f"is too short to keep anybody out: it takes {TOKEN_CHARS} characters or more")
        return given

    @field_validator("app_token")
    @classmethod
    def _is_app_token(cls, given: SecretStr | None) -> SecretStr | None:
        if given is not None and not given.get_secret_value().startswith("xapp-"):
            raise ValueError("is not an app-level token: one begins with xapp-")
        return given

    @field_validator("api_base_url")
    @classmethod
    def _is_safe(cls, given: str) -> str:
        if not _is_safe_address(given):
            raise ValueError(
                "is not an https address; plain http is for this machine only, as http://127.0.0.1:8080/api/"
            )
        return given if given.endswith("/") else f"{given}/"

    @field_validator("authorize_url", "public_url")
    @classmethod
    def _is_for_browsers(cls, given: str) -> str:
        if given and (not _is_safe_address(given) or set(given) & set("?#")):
            raise ValueError("is not an https address; plain http is for this machine only, as http://127.0.0.1:3000")
        return given.rstrip("/")

    @field_validator("request_path")
    @classmethod
    def _is_path(cls, given: str) -> str:
        if re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", given) is None:
            raise ValueError("is not a path, as /slack/events")
        return given

    @model_validator(mode="after")
    def _fits_together(self) -> Settings:
        if problems := [*self._lacking()]:
            raise ValueError("\n".join(problems))
        return self

    def _lacking(self) -> Iterator[str]:
        """Tell what is missing or too much, each with the name of the setting in front."""
        if self.many_workspaces:
            if self.bot_token is not None:
                yield "SLACK_BOT_TOKEN is for one workspace and SLACK_CLIENT_ID for many; leave one of them out"
            if self.client_secret is None:
                yield "SLACK_CLIENT_SECRET is missing"
            if not self.public_url:
                yield "SIGNOFF_PUBLIC_URL is missing"
            if not self.keyring.seals:
                yield "SIGNOFF_ENCRYPTION_KEYS must begin with a key: the tokens of workspaces are kept in Redis"
        elif self.client_secret is not None:
            yield "SLACK_CLIENT_ID is missing"
        elif self.bot_token is None:
            yield "SLACK_BOT_TOKEN is missing"
        if self.app_token is None and self.signing_secret is None:
            yield "SLACK_APP_TOKEN is missing"
            yield "SLACK_SIGNING_SECRET takes its place where Slack is to call this bot over HTTP"
        if self.metrics_port is not None and self.metrics_token is None:
            yield "SIGNOFF_METRICS_TOKEN is missing"


def load(env_file: Path | str | None = ".env", **given: Any) -> Settings:
    """Read the settings; *given* ones, by field name, win over the environment.

    Raises:
        SettingsError: what is missing or wrong, all of it.
    """
    return _read(Settings, "Signoff cannot start", env_file, given)


def load_store(env_file: Path | str | None = ".env", **given: Any) -> StoreSettings:
    """Read what is needed to look at runs, and nothing of Slack; see `load`.

    Raises:
        SettingsError: what is wrong, all of it.
    """
    return _read(StoreSettings, "Runs cannot be reached", env_file, given)


def load_workflows(env_file: Path | str | None = ".env") -> Path:
    """Read where the workflow files are; see `load`.

    Raises:
        SettingsError: *env_file* cannot be read.
    """
    return _read(WorkflowSettings, "Workflow files cannot be found", env_file, {}).workflows


def load_writer(env_file: Path | str | None = ".env", **given: Any) -> WriterSettings:
    """Read who writes texts; see `load`.

    Raises:
        SettingsError: what is wrong, all of it.
    """
    return _read(WriterSettings, "No text can be written", env_file, given)


def _read(kind: type[S], trouble: str, env_file: Path | str | None, given: dict[str, Any]) -> S:
    try:
        return kind(_env_file=env_file, **given)
    except ValidationError as error:
        problems = [line for problem in error.errors() for line in _told(problem)]
        problems += _unreached(kind, error, env_file, given)
    except UnicodeDecodeError:
        problems = [f"  {env_file} is not UTF-8 text"]
    raise SettingsError(f"{trouble}:\n" + "\n".join(problems)) from None


def is_loopback(host: str) -> bool:
    """Whether *host* is this machine, by name or address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_safe_address(given: str) -> bool:
    try:
        address = urlsplit(given)
        secure = address.scheme == "https" or (address.scheme == "http" and is_loopback(address.hostname or ""))
        return secure and bool(address.hostname) and address.username is None
    except ValueError:
        return False


def _passwords(url: str) -> list[str]:
    """Return the passwords in an address of Redis, of however many hosts: as they stand there and as they are."""
    given = re.findall(r"(?<=://)[^/?#@:]*:([^/?#@]+)@|[?&]\w*password=([^&#]+)", url)
    return [shown for found in given for shown in dict.fromkeys(("".join(found), unquote("".join(found))))]


def _told(problem: ErrorDetails) -> Sequence[str]:
    """Return what people are told of one thing that is wrong, or of all that does not fit together."""
    message = problem["msg"].removeprefix("Value error, ")
    if not problem["loc"]:
        return [_with_place(line) for line in message.split("\n")]
    name = _name(problem)
    text = message if problem["type"] == "value_error" else f"is not accepted: {message}"
    return [_with_place(f"{name} {text}")]


def _with_place(line: str) -> str:
    name = line.partition(" ")[0]
    return f"  {line}" + (f"\n      {WHERE[name]}" if name in WHERE else "")


def _name(problem: ErrorDetails) -> str:
    """Return the environment's name of the setting that is wrong."""
    name = str(problem["loc"][0])
    field = Settings.model_fields.get(name)
    return name if field is None else field.alias or name


def _unreached(
    kind: type[_Environment], error: ValidationError, env_file: Path | str | None, given: dict[str, Any]
) -> list[str]:
    """Pydantic checks the whole only when the parts are right; say all of it the first time."""
    wrong = {_name(problem) for problem in error.errors() if problem["loc"]}
    right = {name: field.default for name, field in kind.model_fields.items() if field.alias in wrong}
    right |= {name: _RIGHT[name] for name in right if name in _RIGHT}
    try:
        if wrong:
            kind(_env_file=env_file, **{**given, **right})
    except ValidationError as more:
        told = [line for problem in more.errors() if not problem["loc"] for line in problem["msg"].split("\n")]
        lines = [line.removeprefix("Value error, ") for line in told]
        return [_with_place(line) for line in lines if line.partition(" ")[0] not in wrong]
    return []


_RIGHT = {"bot_token": "xoxb-", "app_token": "xapp-"}
"""What stands for a setting that is wrong, so that the others can be looked at."""
