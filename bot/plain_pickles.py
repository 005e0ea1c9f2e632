"""What pydocket reads from Redis: plain values, and no classes.

It pickles the arguments of its tasks, of which we send one string. To read a pickle that names a class is to run what
its writer likes, and whoever can write to Redis shall not get as far as that.
"""

from __future__ import annotations

import io
import logging
import pickle
from typing import Any

from docket import execution, strikelist

logger = logging.getLogger(__name__)


class PlainPickles:
    """Stands where pydocket looks for `cloudpickle`."""

    dumps = staticmethod(pickle.dumps)

    @staticmethod
    def loads(data: bytes) -> Any:
        """Return the plain value that *data* holds, or nothing: a task that lacks its arguments is done with."""
        try:
            return _Unpickler(io.BytesIO(data)).load()
        except pickle.UnpicklingError as error:
            logger.error("somebody else has written to pydocket's keys in Redis", extra={"reason": str(error)})
            return _Nothing()


class _Unpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str, /) -> Any:
        raise pickle.UnpicklingError(f"a pickle names {module_name}.{global_name}, and ours name nothing")


class _Nothing(dict[Any, Any]):
    """No arguments, neither by place nor by name."""

    def __getitem__(self, places: Any) -> Any:
        return ()


def read_plain_pickles_only() -> None:
    """Let pydocket read no others in this process."""
    for module in (execution, strikelist):
        vars(module)["cloudpickle"] = PlainPickles
