"""The rules of the house, read off the source: each gives the lines that break it.

docs/architecture.md says why. A rule takes the root of a tree: a test can show it a bad one.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from msgspec import inspect as types

KERNEL, SERVICES, LAB = "energymarket", "services", "lab"
PACKAGES: Final = (KERNEL, SERVICES, LAB)

MAY_IMPORT: Final = {
    KERNEL: {KERNEL},
    SERVICES: {KERNEL, SERVICES},
    LAB: {KERNEL, SERVICES, LAB},
}
OUTSIDE: Final = {"tests", "bench"}
"""Rooms of ours that nothing which is shipped may lean on."""

CONFINED: Final = {
    "pika": f"{KERNEL}/bus/rabbit.py",
    "redis": f"{KERNEL}/redis_weather_store.py",
    "pydantic_settings": f"{KERNEL}/settings.py",
    "sqlalchemy": f"{SERVICES}/market/ledger/",
    "sqlite3": f"{SERVICES}/market/ledger/",
    "fastapi": f"{SERVICES}/market/api/",
    "starlette": f"{SERVICES}/market/api/",
    "uvicorn": f"{SERVICES}/market/api/",
    "typer": f"{LAB}/",
    "rich": f"{LAB}/",
    "hdrh": f"{LAB}/load/latencies.py",
    "httpx": f"{LAB}/watch/link.py",
    "pyarrow": f"{LAB}/export/writers.py",
    "numpy": "_arrays.py",
    "opentelemetry": f"{KERNEL}/otlp.py",
}
"""Where each library may be imported: one file, one folder, or files whose names end like this."""

DOMAIN_MAY_IMPORT: Final = {
    *("__future__", "array", "bisect", "collections", "dataclasses", "enum", "functools"),
    *("hashlib", "heapq", "itertools", "operator", "sys", "typing", "msgspec", "numpy"),
    *(
        f"{KERNEL}.{name}"
        for name in ("errors", "messages", "policies", "randomness", "refusals", "units")
    ),
    *(f"{KERNEL}.{name}" for name in ("columns", "column_arrays", "randomness_arrays")),
}
"""All else is I/O, a clock, luck with a state, a log, or a function of the maths library, whose
last bit differs between machines."""

DOMAIN_MAY_NOT_CALL: Final = {"open", "print", "input", "float", "round", "pow", "eval", "exec"}

ADAPTERS: Final = {
    *("RabbitBus", "MemoryBus", "MemoryBroker", "RedisWeatherStore", "MemoryWeatherStore"),
    *("SystemClock", "Ledger.open", "LedgerLock", "ApiServer", "create_app"),
}
"""What a composition root builds, and nothing else."""

ENVIRONMENT: Final = {
    *("os.environ", "os.environb", "os.getenv"),
    *("load", "settings.load", "telemetry.configure", "configure"),
}

EVERY_SERVICE_HAS: Final = ("__init__.py", "__main__.py", "service.py", "settings.py", "domain")

MOST_LINES: Final = 450
MANY_LINES: Final = 350
OUR_SOURCES: Final = {".py", ".sh", ".js", ".css", ".html", ".yml", ".toml", ".conf"}
NOT_OURS: Final = {
    *("swagger-ui", "uplot", "vendor", "vendored", "node_modules", "build", "dist", "runs"),
}

UNITS: Final = ("_wh", "_neur", "_neur_per_wh", "_mdeg", "_ticks", "_tick")
WITHOUT_UNIT: Final = {
    *("version", "epoch", "seed", "tick"),  # they count, each in its own kind
    *("homes", "homes_per_message", "absent", "present"),  # they count homes
    *("home", "policy", "gift_giver", "gift_taker"),  # they name
}

Rule = Callable[[Path], list[str]]


# --------------------------------------------------------------------------------- reading the tree


@dataclass(frozen=True)
class Module:
    """A source file; ``path`` is that from the root, with slashes."""

    path: str
    tree: ast.Module

    @property
    def room(self) -> str:
        return self.path.partition("/")[0]

    @property
    def name(self) -> str:
        dotted = self.path.removesuffix(".py").replace("/", ".")
        return dotted.removesuffix(".__init__")

    @property
    def service(self) -> str | None:
        """The service that the module is part of."""
        parts = self.path.split("/")
        return parts[1] if parts[0] == SERVICES and len(parts) > 2 else None

    @property
    def is_domain(self) -> bool:
        parts = self.path.split("/")
        return self.service is not None and parts[2] == "domain"

    def at(self, node: ast.stmt | ast.expr, what: str) -> str:
        """A line of complaint."""
        return f"{self.path}:{node.lineno}: {what}"

    def imports(self, *, outermost: bool = False) -> Iterator[tuple[ast.stmt, str]]:
        """Every module that is imported anywhere in the file, by its full name; ``outermost``:
        only what is imported with the file itself."""
        for node in self.tree.body if outermost else ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield node, alias.name
            elif isinstance(node, ast.ImportFrom):
                base = self._absolute(node)
                for alias in node.names:
                    yield node, f"{base}.{alias.name}"

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = self.name if self.path.endswith("__init__.py") else self.name.rpartition(".")[0]
        for _ in range(node.level - 1):
            package = package.rpartition(".")[0]
        return f"{package}.{node.module}" if node.module else package


def modules(root: Path, rooms: Iterable[str] = PACKAGES) -> Iterator[Module]:
    """The Python files of some rooms."""
    for room in rooms:
        for file in sorted((root / room).rglob("*.py")):
            yield Module(file.relative_to(root).as_posix(), ast.parse(file.read_text()))


def _is_or_is_in(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


# ----------------------------------------------------------------------------------- who knows whom


def imports_run_one_way(root: Path) -> list[str]:
    """lab -> services -> energymarket, and nothing that is shipped leans on tests or bench."""
    ours = {*PACKAGES, *OUTSIDE}
    return [
        module.at(node, f"{module.room} may not import {name}")
        for module in modules(root)
        for node, name in module.imports()
        if name.partition(".")[0] in ours - MAY_IMPORT[module.room]
    ]


def no_service_imports_another(root: Path) -> list[str]:
    """They know each other's messages and nothing else."""
    return [
        module.at(node, f"{module.service} may not import {name}")
        for module in modules(root, [SERVICES])
        for node, name in module.imports()
        if _is_or_is_in(name, SERVICES) and not _is_or_is_in(name, f"{SERVICES}.{module.service}")
    ]


def domain_is_pure(root: Path) -> list[str]:
    """No bus, no ledger, no driver, no log, no clock, no luck but the counter-based, no float."""
    broken = []
    for module in modules(root, [SERVICES]):
        if not module.is_domain:
            continue
        own = f"{SERVICES}.{module.service}.domain"
        allowed = {*DOMAIN_MAY_IMPORT, own}
        for node, name in module.imports():
            if not any(_is_or_is_in(name, permitted) for permitted in allowed):
                broken.append(module.at(node, f"domain may not import {name}"))
        broken += [module.at(node, what) for node, what in _impure(module.tree)]
    return broken


def _impure(tree: ast.Module) -> Iterator[tuple[ast.expr, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in DOMAIN_MAY_NOT_CALL:
                yield node, f"domain may not call {node.func.id}"
        elif isinstance(node, ast.Constant) and isinstance(node.value, float):
            yield node, f"domain may not compute with the float {node.value}"
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            yield node, "domain may not divide to a float; see units.divide_half_even"


def libraries_are_confined(root: Path) -> list[str]:
    """One file or folder for each driver, so that its types and errors do not spread."""
    return [
        module.at(node, f"{name} may be imported in {CONFINED[library]} only")
        for module in modules(root)
        for node, name in module.imports()
        if (library := name.partition(".")[0]) in CONFINED
        and not _stands_in(module.path, CONFINED[library])
    ]


def _stands_in(path: str, place: str) -> bool:
    if place.endswith("/"):
        return path.startswith(place)
    return path.endswith(place) if place.startswith("_") else path == place


def arrays_are_imported_when_needed(root: Path) -> list[str]:
    """A process of few homes loads no NumPy: modules of arrays are imported inside functions."""
    return [
        module.at(node, f"{name} is to be imported where many homes have been found")
        for module in modules(root)
        if not module.path.endswith("_arrays.py")
        for node, name in module.imports(outermost=True)
        if any(part.endswith("_arrays") for part in name.split("."))
    ]


# ---------------------------------------------------------------------------------- who builds what


def only_roots_build_adapters(root: Path) -> list[str]:
    """One composition root per process: a service's ``__main__.py``; the lab has its own."""
    return [
        module.at(node, f"{name} is built by __main__.py, and handed in")
        for module in modules(root, [SERVICES])
        if not module.path.endswith("/__main__.py")
        for node, name in _called(module.tree)
        if name in ADAPTERS
    ]


def only_roots_read_the_environment(root: Path) -> list[str]:
    """Through ``settings.load``, which the kernel's settings alone may do by themselves."""
    allowed = f"{KERNEL}/settings.py"
    return [
        module.at(node, f"{name} is for __main__.py")
        for module in modules(root)
        if not module.path.endswith("/__main__.py")
        and module.path != allowed
        and module.room != LAB
        for node, name in [*_called(module.tree), *_read(module.tree), *module.imports()]
        if name in ENVIRONMENT
    ]


def _called(tree: ast.Module) -> Iterator[tuple[ast.stmt | ast.expr, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node, _dotted(node.func)


def _read(tree: ast.Module) -> Iterator[tuple[ast.stmt | ast.expr, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node, _dotted(node)


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return node.id if isinstance(node, ast.Name) else ""


def every_service_has_the_same_shape(root: Path) -> list[str]:
    """Each readable alone, by whoever has read one."""
    folders = [f for f in sorted((root / SERVICES).iterdir()) if f.is_dir() and f.name[0] != "_"]
    return [
        f"{SERVICES}/{folder.name} has no {part}"
        for folder in folders
        for part in EVERY_SERVICE_HAS
        if not (folder / part).exists()
    ]


# -------------------------------------------------------------------------------------------- style


def files_are_a_few_screens(root: Path, excused: Collection[str] = ()) -> list[str]:
    """No file over ``MOST_LINES``; where there is one, those on the way there are named too."""
    lines = {file: _lines(root / file) for file in _our_files(root) if file not in excused}
    if max(lines.values(), default=0) <= MOST_LINES:
        return []
    return [f"{file}: {n} lines" for file, n in sorted(lines.items()) if n > MANY_LINES]


def _our_files(root: Path) -> Iterator[str]:
    for file in sorted(root.rglob("*")):
        parts = file.relative_to(root).parts
        hidden = any(part.startswith(".") or part in NOT_OURS for part in parts)
        if file.suffix in OUR_SOURCES and not hidden and file.is_file():
            yield "/".join(parts)


def _lines(file: Path) -> int:
    return len(file.read_text().splitlines())


def units_stand_last(structs: Iterable[type[msgspec.Struct]]) -> list[str]:
    """Every integer of a message, alone or in a column, says in its name what it counts."""
    return [
        f"{struct.__name__}.{field.name} has no unit at its end"
        for struct in structs
        for field in _fields(struct)
        if _is_integer(field.type)
        and not field.name.endswith(UNITS)
        and field.name not in WITHOUT_UNIT
    ]


def _fields(struct: type[msgspec.Struct]) -> tuple[types.Field, ...]:
    described = types.type_info(struct)
    assert isinstance(described, types.StructType)
    return described.fields


def _is_integer(kind: types.Type) -> bool:
    if isinstance(kind, types.ListType):
        return _is_integer(kind.item_type)
    return isinstance(kind, types.IntType)
