"""The command line: one module for each command, with its texts."""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import os
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence

import cossign
from cossign.cli import authorization, completion, engines, explain, hints, presign, serve, url, verify, words
from cossign.cli.arguments import Parser
from cossign.errors import CosSignError, ParameterError

__all__ = ["main", "parser"]

_COMMANDS = (url, presign, authorization, verify, explain, serve, engines, completion)
_EPILOG = """\
Secrets are never options. They come from the first source that has them: the environment
(COS_SECRET_ID, COS_SECRET_KEY and, for temporary credentials, COS_SESSION_TOKEN; or
TENCENTCLOUD_SECRET_ID, ..._SECRET_KEY, ..._SESSION_TOKEN), TKE's service account, the files
of coscli, coscmd, tccli and the SDKs (~/.cos.yaml, ~/.cos.conf, ~/.tccli/default.credential,
~/.tencentcloud/credentials), the instance's role.
-b and -r default to COS_BUCKET and COS_REGION, then to the files of coscmd and coscli.

examples:
  cossign url photos/a.jpg -b examplebucket-1250000000 -r ap-beijing
  cossign presign keys.txt -o urls.txt -b examplebucket-1250000000 -r ap-beijing
  cossign verify urls.txt
  cossign explain 'https://...&q-signature=...'
  cossign COMMAND --help

exit status: 0 done; 1 some rows or signatures were bad; 2 usage, or input that cannot be read; 130 interrupted
"""


class _Version(argparse.Action):
    """What a bug report needs; the first line is the version alone."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import platform
        import sysconfig

        from cossign import _core
        from cossign.engine import chosen_engine
        from cossign.engine import engines as list_engines

        compiler, commit = _core.built()
        try:
            engine = chosen_engine().name
        except ParameterError as error:
            parser.error(str(error))
        print(f"cossign {cossign.__version__}")
        print(f"engine {engine}, of {', '.join(list_engines())}")
        print(f"built by {compiler} from commit {commit}")
        print(f"{platform.python_implementation()} {platform.python_version()}, {sysconfig.get_platform()}")
        parser.exit()


def parser() -> argparse.ArgumentParser:
    """Every command and its arguments. The man page and `cossign completion` are made from it."""
    main_parser = Parser(
        prog="cossign",
        usage="cossign COMMAND ARGUMENT... [OPTION...]",
        description="Sign for Tencent Cloud COS: presigned URLs, one or millions, Authorization headers, verification.",
        epilog=_EPILOG,
    )
    main_parser.add_argument(
        "--version", action=_Version, nargs=0, help="show the version, the engine and the build, and end"
    )
    commands = main_parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for each in _COMMANDS:
        each.add(commands)
    return main_parser


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments; what is wrong with them ends the program with a hint."""
    main_parser = parser()
    commands: dict[str, Parser] = next(
        dict(action.choices) for action in main_parser._actions if isinstance(action, argparse._SubParsersAction)
    )
    if argv and argv[0].startswith("-") and argv[0] not in ("--version", "-h", "--help"):
        main_parser.error(hints.for_option(argv[0], ("--version", "--help"), "") + "; a command comes first")
    if argv and not argv[0].startswith("-") and argv[0] not in commands:
        main_parser.error(hints.for_command(argv[0], commands))
    arguments, rest = main_parser.parse_known_args(argv, argparse.Namespace(parser=main_parser))
    if rest:
        command = commands[arguments.command]
        options = [option for action in command._actions for option in action.option_strings]
        command.error(hints.for_option(rest[0], options, arguments.command))
    return arguments


def _open_streams() -> None:
    """Give a process that was started without some standard streams those that it can use."""
    for name, mode in (("stdout", "w"), ("stderr", "w"), ("stdin", "w")):  # reading it fails
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8", errors="backslashreplace"))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace", newline="\n")


def _stop(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


@contextlib.contextmanager
def _warnings_in_words() -> Iterator[None]:
    """Print the library's warnings as the command line's own, each once."""
    texts: set[str] = set()

    def show(message: Warning | str, *_: object, **__: object) -> None:
        text = str(message)
        if text not in texts:
            texts.add(text)
            words.warn(text)

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show
        yield


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status.

    >>> import contextlib, io
    >>> with contextlib.redirect_stdout(io.StringIO()) as printed:
    ...     status = main(["engines"])
    >>> status, printed.getvalue().split()[-1]
    (0, 'hashlib')
    """
    if not hasattr(cossign, "__version__"):
        words.say(
            "another package called cossign has overwritten files of this one: "
            "pip uninstall cossign cossigner, then install cossigner again"
        )
        return 2
    _open_streams()
    arguments = argparse.Namespace(command="")
    with contextlib.suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGTERM, _stop)
    try:
        arguments = _parse(sys.argv[1:] if argv is None else argv)
        with _warnings_in_words():
            return int(arguments.run(arguments))
    except KeyboardInterrupt:
        note = "; no incomplete file is left" if arguments.command == "presign" else ""
        words.say(f"interrupted{note}{_resume_hint(arguments)}")
        return 130
    except BrokenPipeError:
        return _reader_gone(arguments)
    except CosSignError as error:
        words.say(words.reword(error, arguments))
        return 1 if arguments.command == "presign" and words.is_row_error(error) else 2
    except io.UnsupportedOperation:
        words.say("stdin is closed, so - cannot read it")
        return 2
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "thread" not in str(error):
            raise
        words.say(f"too little memory{_resume_hint(arguments)}")
        return 2
    except OSError as error:
        # A pipe that is closed, as Windows says it
        if os.name == "nt" and error.errno == errno.EINVAL and error.filename in (None, "-"):
            return _reader_gone(arguments)
        name = f"{error.filename}: " if error.filename else ""
        words.say(f"{name}{error.strerror or error}{_resume_hint(arguments)}")
        return 2


def _reader_gone(arguments: argparse.Namespace) -> int:
    """The exit status where the reader of the output has closed it."""
    if getattr(arguments, "output", "-") != "-":
        words.say(f"{arguments.output}: the program that reads it has closed it")
        return 2
    # The reader (`head`) has read what it wanted. What is still buffered is dropped.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141 if arguments.command in ("verify", "explain") else 0  # no verdict: as a shell reports SIGPIPE


def _resume_hint(arguments: argparse.Namespace) -> str:
    """How to continue a job that has ended early, if it has complete parts."""
    journal = os.path.join(getattr(arguments, "output", "-"), ".journal.jsonl")
    return "; to continue, repeat the command with --resume" if os.path.exists(journal) else ""
