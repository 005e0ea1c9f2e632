"""What happens in a workflow: the nouns an author writes, sends and receives.

An event is a pydantic model that also takes undeclared keywords. Declared fields are
validated; everything else lives beside them and is reached as an attribute or, like a
mapping, by key. The mapping side sees undeclared keys only.
"""

# Annotations are evaluated here, once: those that are text, pydantic evaluates anew for each subclass.

from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    PrivateAttr,
    SerializeAsAny,
    SerializerFunctionWrapHandler,
    field_serializer,
    model_serializer,
)

from engine.errors import UnreconstructedException as UnreconstructedException

_private = vars(BaseModel)["__pydantic_private__"]


class DictLikeModel(BaseModel):
    """A pydantic model that keeps undeclared keywords and offers them as a mapping."""

    # Deferred: a run uses few of the kinds there are, and to build them all took a fifth of the import.
    model_config = ConfigDict(arbitrary_types_allowed=True, defer_build=True)

    _accepted: ClassVar[frozenset[str]] = frozenset()
    _plain: ClassVar[bool] = False
    """To make one is to validate its fields: no other base and no validator of the whole has a say."""
    _blank: ClassVar[dict[str, None] | None] = None
    """Its private attributes but `_data`, if they all begin as None: those are made when somebody asks for one."""
    _data: dict[str, Any] = PrivateAttr(default_factory=dict)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        cls._accepted = _accepted_names(cls)
        validators = cls.__pydantic_decorators__.model_validators
        cls._plain = super().__init__ is BaseModel.__init__ and not validators
        private = {name: found.get_default() for name, found in cls.__private_attributes__.items() if name != "_data"}
        written_by = cls.model_post_init.__module__  # pydantic's wrapper says what it wraps: an author's own stays
        cls._blank = None
        if written_by.startswith("pydantic.") and all(begin is None for begin in private.values()):
            cls._blank = private
            cls.__pydantic_post_init__ = None  # it would look up every default anew, once for each base class

    def __init__(self, /, **params: Any) -> None:
        cls = type(self)
        names = cls._accepted
        all_declared = params.keys() <= names
        declared = params if all_declared else {name: value for name, value in params.items() if name in names}
        if cls._plain:
            self.__pydantic_validator__.validate_python(declared, self_instance=self)
        else:
            super().__init__(**declared)
        if all_declared:
            return
        private = _private_of(self)
        data = private["_data"]
        for name, value in params.items():
            if name in names:
                continue
            if name == "_data":
                data.update(value)
            elif name in cls.__private_attributes__:
                private[name] = value
            else:
                data[name] = value

    def __eq__(self, other: object) -> bool:
        if isinstance(other, DictLikeModel):
            for one in (self, other):
                _private_of(one)  # pydantic compares them, made or not
        return super().__eq__(other)

    def __getattr__(self, name: str) -> Any:
        private = _private_of(self)
        if name in private:
            return private[name]
        data = private.get("_data")
        if data is not None and name in data:
            return data[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __setattr__(self, name: str, value: Any) -> None:
        cls = type(self)
        if name in cls.__private_attributes__:
            _private_of(self)  # all of them, before pydantic makes this one alone
            super().__setattr__(name, value)
        elif name in cls.__pydantic_fields__:
            super().__setattr__(name, value)
        else:
            _data_of(self)[name] = value

    def __getitem__(self, key: str) -> Any:
        return _data_of(self)[key]

    def __setitem__(self, key: str, value: Any) -> None:
        _data_of(self)[key] = value

    def __contains__(self, key: object) -> bool:
        return key in _data_of(self)

    def __len__(self) -> int:
        return len(_data_of(self))

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]  # a mapping's iterator: its keys
        return iter(_data_of(self))

    def __bool__(self) -> bool:
        return True

    def get(self, key: str, default: Any = None) -> Any:
        """Return an undeclared value, or *default*."""
        return _data_of(self).get(key, default)

    def keys(self) -> KeysView[str]:
        """Return the undeclared keys."""
        return _data_of(self).keys()

    def values(self) -> ValuesView[Any]:
        """Return the undeclared values."""
        return _data_of(self).values()

    def items(self) -> ItemsView[str, Any]:
        """Return the undeclared pairs."""
        return _data_of(self).items()

    def to_dict(self) -> dict[str, Any]:
        """Return the undeclared pairs as a dictionary of its own."""
        return dict(_data_of(self))

    @model_serializer(mode="wrap")
    def _dump(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        dumped: dict[str, Any] = handler(self)
        if data := _data_of(self):
            dumped["_data"] = data
        return dumped


def _accepted_names(cls: type[BaseModel]) -> frozenset[str]:
    """Return every keyword pydantic itself understands: fields and their aliases."""
    aliases = [field.validation_alias for field in cls.model_fields.values()]
    return frozenset([*cls.model_fields, *(alias for alias in aliases if isinstance(alias, str))])


def _private_of(model: DictLikeModel) -> dict[str, Any]:
    """Return the private attributes of *model*. Most events never need any; to make them took half of the time."""
    private: dict[str, Any] | None = _private.__get__(model)
    if private is None:
        blank = type(model)._blank
        if blank is None:
            return {}
        private = {"_data": {}, **blank}
        _private.__set__(model, private)
    return private


def _data_of(model: DictLikeModel) -> dict[str, Any]:
    """Return the undeclared values of *model* themselves. To look up `model._data` takes five times as long."""
    data: dict[str, Any] = _private_of(model)["_data"]
    return data


class Event(DictLikeModel):
    """Something that happened. Subclass it and declare fields, or pass any keywords."""


class StartEvent(Event):
    """Begins a run. ``Workflow.run(**kwargs)`` makes one from its keywords."""

    if TYPE_CHECKING:  # pyright takes a model's keywords from its fields, unless its own class says otherwise

        def __init__(self, /, **params: Any) -> None: ...


class StopEvent(Event):
    """Ends a run. *result* is what awaiting the run returns."""

    _result: Any = PrivateAttr(default=None)

    def __init__(self, /, result: Any = None, **params: Any) -> None:
        super().__init__(**params)
        if result is not None:
            _private_of(self)["_result"] = result

    @property
    def result(self) -> Any:
        """What the run came to; None for a subclass that carries fields of its own."""
        return self._result

    @model_serializer(mode="wrap")
    def _dump(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        dumped: dict[str, Any] = handler(self)
        if data := _data_of(self):
            dumped["_data"] = data
        if self._result is not None:
            dumped["result"] = self._result
        return dumped

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        yield from super().__repr_args__()
        yield from _data_of(self).items()
        if self._result is not None:
            yield "result", self._result

    def __str__(self) -> str:
        plain = type(self) is StopEvent or self._result is not None
        return str(self._result) if plain else super().__str__()


class InputRequiredEvent(Event):
    """Asks a person something; the run waits until they answer.

    Any keyword is carried to whoever shows the question (``prefix`` is its text). The engine
    itself understands, all optional:

    * ``timeout``: seconds until the question expires; by default it never does.
    * ``on_timeout``: what comes of it then. ``"expire"``, the default, tells the step that waits or
      takes `AskExpired`; ``"fail"`` fails the run; any other text is taken for the answer.
    * In a durable run, ``options``: the responses that are taken; any by default. ``complete_options``: those of them
      that are a whole answer, so that `Runner.answer_shown` takes them without reading the question.
    * ``allowed``: ids of the users who may answer, by default all; ``self_approval``: False bars who started the run.
    * ``quorum``: how many people must give the same response; 1 by default. ``groups``: which of ``allowed`` stand for
      several people. A question that too few may answer once ``self_approval=False`` bars who started the run fails
      its step; of a quorum that can be told only where there is ``groups``.
    * ``remind`` and ``escalate``: lists of seconds after which to remind people, and to ask further ones.

    Whoever shows the question, and `engine.testing.play` in its place, understands more: ``vetoes`` are responses that
    decide whatever the quorum; ``brings`` has by response what goes along with an answer that says no more; a rung of
    ``escalate`` may have the seconds as ``after`` and the people as ``to``.
    """

    _ask_id: str | None = PrivateAttr(default=None)

    if TYPE_CHECKING:

        def __init__(self, /, **params: Any) -> None: ...

    @property
    def ask_id(self) -> str | None:
        """Id of the question this event opened; None before it was asked."""
        return self._ask_id


class EffectInDoubt(InputRequiredEvent):
    """The engine's own question: did what step *step* calls *key* happen? A ``ctx.effect`` was interrupted there.

    It has a ``prefix`` and ``options`` as any other; whoever shows it may word it anew.
    """

    step: str
    key: str


class HumanResponseEvent(Event):
    """A person's answer.

    With ``ask_id`` it answers that one question, once; without, it reaches every waiting
    call that matches, as in LlamaIndex. A durable answer also carries ``user_id`` and
    ``answered_at`` (POSIX seconds). So does silence that stands for an answer: by None, with ``comment=""``.
    """

    if TYPE_CHECKING:

        def __init__(self, /, **params: Any) -> None: ...


class AskExpired(Event):
    """A question's deadline passed unanswered; a step that accepts it decides what then."""

    ask_id: str


# --- What the engine itself tells the stream ----------------------------------------


class WorkflowTimedOutEvent(StopEvent):
    """The run had no end within its *timeout* (seconds)."""

    timeout: float
    active_steps: list[str]


class WorkflowCancelledEvent(StopEvent):
    """Somebody cancelled the run."""


class IdleReleasedEvent(StopEvent):
    """For imports: in LlamaIndex it ends a run that is let go while idle; here such a run just rests in its store."""


class WorkflowFailedEvent(StopEvent):
    """A step raised and no retry or handler was left."""

    step_name: str
    exception: Exception
    attempts: int | None = None
    elapsed_seconds: float | None = None

    @field_serializer("exception")
    def _dump_exception(self, error: Exception) -> dict[str, str]:
        cls = type(error)
        return {"exception_type": f"{cls.__module__}.{cls.__qualname__}", "exception_message": str(error)}


class StepFailedEvent(Event):
    """What a ``@catch_error`` step receives when a step's retries are exhausted.

    *elapsed_seconds* since the first of its *attempts* began; *failed_at* is aware, in UTC.
    """

    step_name: str
    input_event: Event
    exception: Exception
    attempts: int
    elapsed_seconds: float
    failed_at: datetime


class CollectionReleaseEvent(Event):
    """What a step with several events is called for: *events* for a ``list[E]`` parameter, or one for each parameter.

    A ``@catch_error`` step finds it as the ``input_event`` of such a step.
    """

    events: list[SerializeAsAny[Event]]


class InternalDispatchEvent(Event):
    """Base of what the engine says about its own work; streamed only on request."""


class StepState(StrEnum):
    """Where a step call stands."""

    PREPARING = "preparing"
    RUNNING = "running"
    NOT_RUNNING = "not_running"


class StepStateChanged(InternalDispatchEvent):
    """A step call was queued, began or ended, on worker *worker_id* of its step."""

    name: str
    step_state: StepState
    worker_id: str
    input_event_name: str
    output_event_name: str | None = None


class WorkflowIdleEvent(InternalDispatchEvent):
    """Nothing is queued or running: the run waits for the world."""


class UnhandledEvent(InternalDispatchEvent):
    """An event arrived that no step accepts and no call waits for; *step_name* if it was sent to one.

    With *idle* no step call is open: the run has nothing else to do.
    """

    event_type: str
    qualified_name: str
    step_name: str | None = None
    idle: bool = False


EventType: TypeAlias = type[Event]

BUILTIN_EVENTS: tuple[type[Event], ...] = (
    Event,
    StartEvent,
    StopEvent,
    InputRequiredEvent,
    EffectInDoubt,
    HumanResponseEvent,
    AskExpired,
    WorkflowTimedOutEvent,
    WorkflowCancelledEvent,
    IdleReleasedEvent,
    WorkflowFailedEvent,
    CollectionReleaseEvent,
    StepFailedEvent,
    StepStateChanged,
    WorkflowIdleEvent,
    UnhandledEvent,
)
