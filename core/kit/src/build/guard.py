import os
import sys

from componentize_py_types import Err
from wit_world.imports import host_fault

# The functions of the hooks and of the life cycle.
FUNCTIONS = (
    "describe", "configure", "self_test", "screen", "rewrite", "rate", "select", "after_failure",
    "present", "supervise", "notify",
)


def _lines(module):
    """The source of a module, read when the component is built: later there are no files."""
    try:
        with open(module.__file__, encoding="utf-8") as file:
            return file.read().splitlines()
    except (AttributeError, TypeError, OSError, UnicodeError):
        return []


_FOLDER = os.path.dirname(plugin.__file__)
_SOURCES = {
    module.__file__: _lines(module)
    for module in list(sys.modules.values())
    if (getattr(module, "__file__", None) or "").startswith(_FOLDER)
}


def _place(trace):
    """`app.py:3 in select: order = sorted(...)`."""
    code = trace.tb_frame.f_code
    lines = _SOURCES.get(code.co_filename, [])
    line = lines[trace.tb_lineno - 1].strip() if 0 < trace.tb_lineno <= len(lines) else ""
    text = f"  {os.path.basename(code.co_filename)}:{trace.tb_lineno} in {code.co_name}"
    return f"{text}: {line}" if line else text


def _explain(error):
    """The exception, then where it was raised, innermost first."""
    places = []
    trace = error.__traceback__.tb_next
    while trace is not None:
        places.append(_place(trace))
        trace = trace.tb_next
    text = f"{type(error).__name__}: {error}"
    host_fault.explain("\n".join([text, *reversed(places[-10:])]))


def _guard(name):
    def call(self, *given):
        try:
            return getattr(super(type(self), self), name)(*given)
        except Err:
            # An answer: a rejection or an error text.
            raise
        except BaseException as error:
            _explain(error)
            raise

    return call


def guarded(own):
    """A class whose exceptions are explained to the host before they end the question."""
    guards = {name: _guard(name) for name in FUNCTIONS if hasattr(own, name)}
    return type(own.__name__, (own,), guards)
