"""The linters, the types, the C compiler's warnings, the docstrings' examples and the README's code, as tests."""

from __future__ import annotations

import ast
import doctest
import graphlib
import importlib
import os
import pickle
import pkgutil
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
from Cython.Compiler import Main

import cossign

ROOT = Path(__file__).parent.parent
CLUSTERS = ("cossign.integrations.spark", "cossign.integrations.ray")
NATIVE = ROOT / "src" / "cossign" / "native"
MODULES = ["cossign", *(each.name for each in pkgutil.walk_packages(cossign.__path__, "cossign."))]


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


# --- The house --------------------------------------------------------------------------------------------------------

FLOORS = (  # from the ground up: what stands on one imports what is below it, or of its own room
    {"errors", "waits", "_native"}, {"_core"}, {"_arrow", "_verify"}, {"key_time", "endpoint", "engine"}, {"credentials"},
    {"request", "post", "cdn", "storage"}, {"bulk", "verifier", "explain"}, {"settings"}, {"shortcuts"}, {"signer"}, {"sdk", "batch", "gateway"},
    {"integrations"}, {"cli"}, {"__init__", "__main__"},
)  # fmt: skip


def imported(source: Path) -> set[str]:
    """The modules of the house that a file imports, wherever in it."""
    text = source.read_text()
    if source.suffix in (".pyx", ".pxd"):
        return set(re.findall(r"^\s*from (cossign[.\w]*) c?import", text, re.M))
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names if alias.name.partition(".")[0] == "cossign")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "cossign":
            assert node.level == 0, f"{source}: imports are absolute"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found.update(names & HOUSE.keys() or {node.module})
    return found - {"cossign"}  # for its version


HOUSE = {
    ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "src" / "cossign").rglob("*.p*"))
    if path.suffix in (".py", ".pyx")
}


def test_imports_go_down_only() -> None:
    floor = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
    assert len(HOUSE) > 60
    for module, source in HOUSE.items():
        room = [*module.split("."), "__init__"][1]
        for below in {name.split(".")[1] for name in imported(source)} - {room}:
            assert floor[below] < floor[room], f"{source}: {room} imports {below}, which is not below it"


def test_no_two_files_import_each_other() -> None:
    graph = {module: imported(source) - {module} for module, source in HOUSE.items()}
    assert len(list(graphlib.TopologicalSorter(graph).static_order())) >= len(HOUSE)  # or it names the circle


def test_the_page_of_the_house_names_places_that_are_there() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    floors, places, *_ = re.findall(r"(?:^\|.*\n)+", page, re.M)
    for column in (
        re.findall(r"^\| \d+ \| (.*?) \|", floors, re.M),
        re.findall(r"^\| [^|`]* \| (.*?) \|$", places, re.M),
    ):
        assert len(column) >= 11
        for name in re.findall(r"`([\w/]+(?:\.\w+|/))`", " ".join(column)):
            assert (ROOT / "src" / "cossign" / name).exists(), name
    assert places.count("\n") - 2 >= 20
    rooms = {
        name.strip("/").partition(".")[0]
        for name in re.findall(r"`([\w/.]+)`", " ".join(re.findall(r"^\| \d+ \| (.*?) \|", floors, re.M)))
    }
    assert rooms - {"native"} == set().union(*FLOORS) - {"_native", "__init__", "__main__"}


# What is public, whatever it begins with: of named tuples; and what requests and granian have no other name for.
NOT_PRIVATE = {"_replace", "_asdict", "_fields", "_make", "_body_position", "_respawn_workers"}


OF_SIGNER = {"settings", "shortcuts"}  # with signer.py one room: classes that are made of each other


def room_of(module: str) -> str:
    room = [*module.split("."), "__init__"][1]
    return "signer" if room in OF_SIGNER else room


def cython_names(text: str) -> tuple[set[str], dict[str, int]]:
    defined = set(re.findall(r"^\s*(?:cdef|cpdef|def|class)\b.*?\b(_[a-z]\w*)", text, re.M))
    used: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        names = re.findall(r"[\w)\]]\.(_[A-Za-z]\w*)", line)
        if re.match(r"\s*from cossign[.\w]* c?import ", line):
            names += re.findall(r"\b(_[A-Za-z]\w*)", line.partition("import ")[2])
        used.update(dict.fromkeys(names, number))
    return defined, used


def python_names(text: str) -> tuple[set[str], dict[str, int]]:
    tree = ast.parse(text)
    defined: set[str] = set()
    used: dict[str, int] = {}
    foreign = {
        (alias.asname or alias.name).partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
        if not (node.module if isinstance(node, ast.ImportFrom) else alias.name or "").startswith("cossign")  # type: ignore[union-attr]
    }
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            defined.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            defined.add(node.id)
        elif isinstance(node, ast.ImportFrom) and str(node.module).startswith("cossign"):
            names = {alias.name for alias in node.names if f"{node.module}.{alias.name}" not in HOUSE}
            used.update(dict.fromkeys(names, node.lineno))
        elif isinstance(node, ast.Attribute):
            if (
                isinstance(node.ctx, ast.Store)
                and isinstance(node.value, ast.Name)
                and node.value.id in ("self", "cls")
            ):
                defined.add(node.attr)
            owner: ast.AST = node.value
            while isinstance(owner, (ast.Attribute, ast.Call, ast.Subscript)):
                owner = owner.func if isinstance(owner, ast.Call) else owner.value
            if not (isinstance(owner, ast.Name) and owner.id in foreign):
                used[node.attr] = node.lineno
    return defined, used


def private_names(text: str, is_cython: bool) -> tuple[set[str], dict[str, int]]:
    """The private names that a file defines, and those that it uses, with their lines."""
    defined, used = cython_names(text) if is_cython else python_names(text)
    extensions = {Path(name).stem for name in SOURCES.values()} | {"_native"}
    return defined, {
        name: line
        for name, line in used.items()
        if re.match("_[A-Za-z]", name) and name not in NOT_PRIVATE | extensions
    }


def test_no_room_uses_the_private_names_of_another() -> None:
    found = {module: private_names(source.read_text(), source.suffix == ".pyx") for module, source in HOUSE.items()}
    assert sum(len(used) for _, used in found.values()) > 200  # of their own rooms
    for module, (_, used) in found.items():
        own = {name for other, (defined, _) in found.items() if room_of(other) == room_of(module) for name in defined}
        for name, line in used.items():
            assert name in own, f"{HOUSE[module]}:{line} uses {name}, which is private to another room"


@pytest.mark.parametrize(
    "text",
    [
        "import cossign\ncossign.sdk._x()", "from cossign.signer import _x", "from cossign.signer import _X", "signer()._x",
        "self.signer._x", "def f(signer):\n    return signer._x",
    ],
)  # fmt: skip
def test_a_private_name_is_seen(text: str) -> None:
    assert {name.lower() for name in private_names(text, False)[1]} == {"_x"}
    if "cossign\n" not in text:
        assert {name.lower() for name in private_names(text, True)[1]} == {"_x"}


LONGEST_FILE, LONGEST_CLASS, LONGEST_FUNCTION = 1300, 350, 60


def lines_of(block: list[str]) -> int:
    """The lines of a class or a function, without docstrings and without what is empty at its end."""
    text = "\n".join(block).rstrip()
    docs = re.findall(r'^[ \t]*"""(?:.|\n)*?"""[ \t]*$', text, re.M)
    return text.count("\n") + 1 - sum(each.count("\n") + 1 for each in docs)


def blocks(source: Path) -> Iterator[tuple[str, int, int]]:
    """The classes and functions of a file: what each is, its first line, and how many lines it has."""
    lines = source.read_text().splitlines()
    if source.suffix in (".c", ".h"):
        begun = 0
        for number, line in enumerate(lines, 1):
            if line == "{":
                begun = number
            elif line == "}" and begun:
                yield "function", begun, number - begun
                begun = 0
        return
    for number, line in enumerate(lines, 1):
        head = re.match(r"( *)(cdef class|class|async def|def|cpdef|cdef)\b", line)
        if head is None or (head[2] in ("cdef", "cpdef") and "(" not in line.partition("=")[0]):
            continue
        start = number
        while start < len(lines) and not lines[start - 1].endswith(":"):
            start += 1
        end = start
        while end < len(lines) and (not lines[end].strip() or lines[end].startswith(head[1] + " ")):
            end += 1
        kind = "class" if "class" in head[2] else "function"
        yield kind, number, lines_of(lines[number - 1 : end])


def test_nothing_is_too_long() -> None:
    """Docstrings are not counted."""
    most = {"class": LONGEST_CLASS, "function": LONGEST_FUNCTION}
    sources = [
        each for each in (ROOT / "src" / "cossign").rglob("*") if each.suffix in (".py", ".pyx", ".pxd", ".c", ".h")
    ]
    sources = [each for each in sources if not each.with_suffix(".pyx").exists() or each.suffix != ".c"]
    seen = {"class": 0, "function": 0}
    for source in sources:
        assert source.read_text().count("\n") <= LONGEST_FILE, f"{source} is too long"
        for kind, line, length in blocks(source):
            seen[kind] += 1
            assert length <= most[kind], f"{source}:{line}: a {kind} of {length} lines"
    assert seen["class"] > 150
    assert seen["function"] > 1200


PARTICIPLES = re.compile(
    "added|asked|awaited|begun|chosen|decoded|done|encoded|fetched|filtered|found|given|got|guessed|held|joined|kept|known|"
    "listed|lost|made|marked|moved|named|noted|opened|packed|parsed|passed|prepared|received|seen|sent|shown|stated|taken|"
    "told|typed|wanted"
)


def test_no_participle_is_a_name() -> None:
    """A noun names a thing, and a verb an action: "found" says neither. "signed", "tried" and "written" are fields."""
    names = 0
    for source in HOUSE.values():
        for node in ast.walk(ast.parse(source.read_text())) if source.suffix == ".py" else ():
            match node:
                case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.Attribute(attr=name, ctx=ast.Store()):
                    pass
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                    pass
                case _:
                    continue
            names += 1
            assert not PARTICIPLES.fullmatch(name.strip("_").lower()), f"{source}:{node.lineno}: {name}"
    assert names > 5000


def test_no_function_takes_more_than_six_positional_parameters() -> None:
    for source in HOUSE.values():
        for node in ast.walk(ast.parse(source.read_text())) if source.suffix == ".py" else ():
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                names = [
                    each.arg for each in (*node.args.posonlyargs, *node.args.args) if each.arg not in ("self", "cls")
                ]
                assert len(names) <= 6, f"{source}:{node.lineno}: {node.name}"


def test_the_c_knows_nothing_of_python() -> None:
    files = [each for each in NATIVE.rglob("*") if each.is_file()]
    assert len(files) > 20
    for source in files:
        assert "Python.h" not in source.read_text(), source


def test_every_file_says_first_what_lives_there() -> None:
    listed = run("git", "ls-files").stdout.split() or pytest.skip("this is no git repository")
    for name in listed:
        if name.endswith((".py", ".pyx", ".pyi", ".pxd", ".c", ".h", ".js")):
            start = (ROOT / name).read_text().removeprefix("# cython: language_level=3\n")
            opened = re.match(r'"""(.{20,})|/\* (.{20,})|// (.{20,})|# (.{20,})', start)
            assert opened or not start, f"{name} does not say what lives there"


# --- The code ---------------------------------------------------------------------------------------------------------

SOURCES = {
    "cossign._core": "_core.pyx", "cossign._arrow": "_arrow.pyx", "cossign._verify": "_verify.pyx",
    "cossign.batch._rows": "batch/_rows.pyx", "cossign.gateway._gate": "gateway/_gate.pyx",
}  # fmt: skip


@pytest.fixture(scope="module", params=SOURCES)
def generated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An extension as C."""
    target = tmp_path_factory.mktemp("generated") / f"{request.param.rpartition('.')[2]}.c"
    options = Main.CompilationOptions(output_file=str(target), annotate=True, language_level=3)
    source = str(ROOT / "src" / "cossign" / SOURCES[request.param])
    result = Main.compile(source, options, full_module_name=request.param)
    assert result.num_errors == 0
    return target


@pytest.mark.long
def test_the_generated_c_compiles_without_warnings(generated: Path) -> None:
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC"))[0]
    include = ["-I", sysconfig.get_path("include"), "-I", str(NATIVE)]
    done = run(compiler, "-Wall", "-Wextra", "-O2", "-fPIC", *include, "-c", str(generated), "-o", os.devnull)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.long
@pytest.mark.parametrize("compiler", ["gcc", "clang-14", "aarch64-linux-gnu-gcc"])
@pytest.mark.parametrize("source", sorted(str(each.relative_to(NATIVE)) for each in NATIVE.rglob("*.c")))
def test_the_c_compiles_without_warnings(compiler: str, source: str) -> None:
    if not shutil.which(compiler):
        pytest.skip(f"{compiler} is not installed")
    warnings = ("-std=c11", "-Wall", "-Wextra", "-Wconversion", "-pedantic")
    done = run(compiler, *warnings, "-O3", "-c", str(NATIVE / source), "-o", os.devnull)
    assert (done.returncode, done.stderr) == (0, "")


def test_no_python_in_the_batch_loop(generated: Path) -> None:
    """`cython -a` scores each line by its calls into Python: the rows' loops have none."""
    page = generated.with_suffix(".html").read_text()
    scores = {
        int(number): int(score)
        for score, number in re.findall(
            r'<pre class="cython line score-(\d+)"[^>]*>.?<span class="">0*(\d+)</span>', page
        )
    }
    [source] = (path for path in SOURCES.values() if Path(path).stem == generated.stem)
    lines = (ROOT / "src" / "cossign" / source).read_text().splitlines()
    assert len(scores) > max(200, len(lines) // 4)
    assert max(scores.values()) > 10
    hot = {
        "_core": (" sign_rows(",),
        "_arrow": (" has_nulls(",),
        "_rows": (),
        "_verify": (" judge_fitting(", " lay_out_parsed(", " read_usual(", " put_http("),
        "_gate": ("Reason decode_path(", "Reason judge_path(", "Reason judge_key(self, const"),
    }[generated.stem]  # fmt: skip
    starts = [
        number
        for number, line in enumerate(lines, 1)
        if line.strip().startswith("cdef") and any(name in line for name in hot)
    ]
    assert all(any(name in lines[start - 1] for start in starts) for name in hot)
    starts += [number for number, line in enumerate(lines, 1) if line.strip() == "with nogil:"]
    assert len(starts) > len(hot)
    for start in starts:
        while not lines[start - 1].endswith("nogil:"):  # a signature of several lines
            start += 1
        indent = len(lines[start - 1]) - len(lines[start - 1].lstrip())
        body, scored = start + 1, 0
        while not lines[body - 1].strip() or len(lines[body - 1]) - len(lines[body - 1].lstrip()) > indent:
            assert scores.get(body, 0) == 0, f"{source}:{body}: {lines[body - 1]}"
            scored += body in scores
            body += 1
        assert scored


def test_clang_takes_the_generated_c(generated: Path) -> None:
    """macOS builds with it, and it is stricter than GCC where two headers define one name."""
    compiler = shutil.which("clang-14") or pytest.skip("clang-14 is not installed")
    include = f"-I{sysconfig.get_path('include')}"
    source = generated.with_suffix(".c")
    done = run(compiler, "-fsyntax-only", "-Wno-everything", include, f"-I{NATIVE}", str(source))
    assert done.returncode == 0, done.stderr[-2000:]


# Those of Spark and Ray run where these do: tests/integrations.
@pytest.mark.parametrize("name", [name for name in MODULES if name not in CLUSTERS])
def test_docstrings_run(name: str) -> None:
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module)
    assert failed == 0


def test_public_names_are_documented_with_an_example() -> None:
    for name in cossign.__all__:
        each = getattr(cossign, name)
        assert each.__doc__, name
    for call in (
        cossign.Signer.presign,
        cossign.Signer.presign_many,
        cossign.Signer.verify,
        cossign.Signer.verify_many,
        cossign.Signer.authorization,
        cossign.Signer.sign_request,
        cossign.Signer.post_policy,
        cossign.Signer.verify_post,
        cossign.Signer.ready,
        cossign.RefreshingCredentials,
        cossign.ChainCredentials,
        cossign.StsCredentials,
        cossign.COS.getObjectUrl,
        cossign.COS.getObjectUrls,
        cossign.getAuthorization,
    ):
        assert ">>>" in str(call.__doc__), call


def test_errors_are_one_ladder_and_pickle() -> None:
    for name in cossign.errors.__all__:
        kind = getattr(cossign.errors, name)
        if issubclass(kind, UserWarning):
            continue
        assert issubclass(kind, cossign.CosSignError)
        error = kind("Key", "is wrong") if issubclass(kind, cossign.ParameterError) else kind("is wrong")
        assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_importing_cossign_loads_the_standard_library_alone() -> None:
    code = (
        "import sys; from cossign import *; print('\\n'.join(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    loaded = set(
        run(sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {str(ROOT / 'src')!r}); {code}").stdout.split()
    )
    assert {"cossign", "hashlib", "socket"} <= loaded  # all public names are, with what they need
    foreign = {
        name
        for name in loaded - set(sys.stdlib_module_names) - {"cossign", "__main__"}
        if not name.startswith(("_", "cython"))
    }
    assert not foreign


def test_importing_cossign_loads_nothing_that_is_not_asked_for() -> None:
    """Not even the core: what takes time to load (hashlib, re, sockets, logging) comes with the name that needs it."""
    code = "import sys; before = set(sys.modules); import cossign; print(*sorted(set(sys.modules) - before))"
    done = run(sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {str(ROOT / 'src')!r}); {code}")
    loaded = set(done.stdout.split())
    assert {name for name in loaded if name.startswith("cossign")} == {"cossign", "cossign.errors"}, done.stderr
    assert not loaded & {"hashlib", "logging", "re", "socket", "ssl", "threading", "typing"}


def test_importing_signer_loads_little() -> None:
    """dataclasses alone loads the modules that read source code, and takes longer than Signer's own modules."""
    done = run(sys.executable, "-c", "import sys; from cossign import Signer; print(*sys.modules)")
    loaded = set(done.stdout.split())
    assert "cossign.signer" in loaded, done.stderr
    assert not loaded & {"asyncio", "dataclasses", "inspect", "json", "logging", "socket", "ssl", "urllib.request"}


def test_every_public_name_is_there_and_no_other() -> None:
    code = (
        "import cossign\n"
        "assert set(cossign.__all__) <= set(dir(cossign))\n"
        "assert all(getattr(cossign, name) is getattr(cossign, name) for name in cossign.__all__)\n"
        "from cossign import *\n"
        "assert Signer is cossign.signer.Signer and FileCredentials is cossign.credentials.FileCredentials\n"
        "assert cossign.post.PostPolicy and cossign.endpoint.endpoint\n"
        "for module in (cossign, cossign.credentials):\n"
        "    try:\n"
        "        module.signr\n"
        "    except AttributeError as error:\n"
        "        print(error)\n"
    )
    done = run(sys.executable, "-c", code)
    assert done.stdout == "".join(
        f"module {name!r} has no attribute 'signr'\n" for name in ("cossign", "cossign.credentials")
    ), done.stderr


# --- README


README = (ROOT / "README.md").read_text()


def test_readme_python(tmp_path: Path) -> None:
    """All Python of the README, from top to bottom, as one program."""
    blocks = re.findall(r"```python\n(.*?)```", README, re.S)
    assert blocks
    program = tmp_path / "readme.py"
    program.write_text("\n".join(blocks))
    done = run(sys.executable, str(program), cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_readme_commands(tmp_path: Path) -> None:
    """The README's commands after its two, in one shell."""
    blocks = re.findall(r"```sh\n(.*?)```", README, re.S)
    usage = [block for block in blocks if "cossign " in block]
    assert usage
    assert any("make demo\nmake test" in block for block in blocks)
    script = (
        "set -euo pipefail\n" + f'cossign() {{ {shlex.quote(sys.executable)} -m cossign "$@"; }}\n' + "\n".join(usage)
    )
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    done = run("bash", "-c", script, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "urls.txt").read_text().startswith("https://")


def test_the_changelog_knows_this_version() -> None:
    assert f"## {cossign.__version__}" in (ROOT / "CHANGELOG.md").read_text()
