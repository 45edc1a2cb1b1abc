"""Enforce the direction of dependencies: who may import whom, and that pure code does no input or output.

    python scripts/check_imports.py [ROOT]

Prints `file:line: module imports X: reason` for each offence and exits 1 if there is one. The rules are the
table below; for each module the rule with the longest matching package decides. It reads the source but runs
nothing.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("sonar", "mine", "pysonar", "capsule")

PURE_STDLIB = frozenset(
    [
        "__future__",
        "abc",
        "base64",
        "binascii",
        "bisect",
        "collections",
        "contextlib",
        "copy",
        "csv",
        "dataclasses",
        "decimal",
        "difflib",
        "enum",
        "fractions",
        "functools",
        "hashlib",
        "heapq",
        "io",
        "ipaddress",
        "itertools",
        "json",
        "math",
        "numbers",
        "operator",
        "re",
        "statistics",
        "string",
        "struct",
        "textwrap",
        "types",
        "typing",
        "unicodedata",
    ]
)
PURE_LIBRARIES = frozenset(["numpy", "gmpy2", "pydantic", "libipld", "Crypto"])
PURE_BANNED_CALLS = frozenset(["open", "input", "print", "breakpoint"])
BANNED_CALLS = frozenset(["eval", "exec", "__import__"])
BANNED_MODULES = frozenset(["pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle"])

PURE = "pure code takes input, time and randomness as arguments"
DOWN = "dependencies point from programs to adapters to pure code"
APART = "the two sides meet on the chain and in the store only, and a mine must not be able to decrypt"
SEALED = "a capsule knows neither mines' nor the scientist's code: it holds masks, never data or her key"
ADAPTERS = "only `cli` and `wiring` choose adapters"
NEVER_RUN = "nothing that was received is ever run"
BY_NAME = "the demo starts the programs by name, as a user would"

_BASE = ("sonar.errors", "sonar.frozen", "sonar.protocol", "sonar.ports")
_TELLING = (*_BASE, "sonar.telling", "sonar.processes")
_HOME = (*_TELLING, "sonar.home", "sonar.http")
_COMMANDS = ("sonar.cli", "sonar.commands")
_PROGRAM_NOT = ("sonar.localchain", "sonar.demo", *_COMMANDS)
_MINE_NOT = (*_PROGRAM_NOT, "sonar.home.parties")
_DECRYPTS_OR_HEAVY = frozenset(["phe", "sklearn", "eth_tester", "eth", "matplotlib", "tenseal"])


@dataclass(frozen=True)
class Rule:
    """What the modules below `package` may import.

    `own` are prefixes of our own modules that are allowed, `own_not` prefixes among them that are not.
    `stdlib` and `libraries` list what is allowed of the rest (None: anything), `libraries_not` what is not.
    """

    package: str
    reason: str
    own: tuple[str, ...]
    own_not: tuple[str, ...] = ()
    stdlib: frozenset[str] | None = None
    libraries: frozenset[str] | None = None
    libraries_not: frozenset[str] = frozenset()

    @property
    def pure(self) -> bool:
        """Whether the modules may do no input and output."""
        return self.stdlib is not None


def _pure(package: str, *own: str, stdlib: tuple[str, ...] = (), more: tuple[str, ...] = ()) -> Rule:
    return Rule(package, PURE, own, stdlib=PURE_STDLIB | set(stdlib), libraries=PURE_LIBRARIES | set(more))


def _mine(package: str, *own: str) -> Rule:
    return Rule(package, APART, ("sonar", package, *own), own_not=_MINE_NOT, libraries_not=_DECRYPTS_OR_HEAVY)


def _pysonar(package: str, *own: str, localchain: bool = False) -> Rule:
    """Rules of the scientist's side; `localchain`: whether it may start a network of its own."""
    no = ("sonar.demo", *_COMMANDS) if localchain else _PROGRAM_NOT
    return Rule(package, APART, ("sonar", package, *own), own_not=no)


_NETWORK = frozenset(
    [
        "httpx",
        "stamina",
        "web3",
        "eth_account",
        "eth_abi",
        "eth_utils",
        "hexbytes",
        "eth_typing",
        "pydantic_core",
    ]
)

RULES = (
    _pure("sonar.errors", "sonar.errors"),
    _pure("sonar.ports", *_BASE),
    _pure("sonar.frozen"),
    _pure("sonar.protocol", "sonar.errors", "sonar.frozen", "sonar.protocol"),
    _pure("sonar.paillier", "sonar.errors", "sonar.protocol", "sonar.paillier"),
    _pure("sonar.privacy", "sonar.errors", "sonar.privacy"),  # its caller draws, by `secrets`
    _pure("sonar.data", "sonar.errors", "sonar.protocol", "sonar.data"),
    _pure(
        "sonar.data.examples", "sonar.errors", "sonar.protocol", "sonar.data", stdlib=("importlib.resources",)
    ),
    _pure(
        "sonar.families",
        "sonar.errors",
        "sonar.protocol",
        "sonar.paillier",
        "sonar.data",
        "sonar.veil",
        "sonar.privacy",
        "sonar.families",
    ),
    # `cryptography` draws an ephemeral key for each envelope; nothing else here draws anything.
    _pure(
        "sonar.veil", "sonar.errors", "sonar.protocol", "sonar.paillier", "sonar.veil", more=("cryptography",)
    ),
    _pure(
        "sonar.manifests",
        "sonar.errors",
        "sonar.protocol",
        "sonar.paillier",
        "sonar.families",
        "sonar.veil",
        "sonar.manifests",
    ),
    Rule("sonar.starting", DOWN, ()),
    _pure(
        "sonar.settling",
        "sonar.errors",
        "sonar.protocol",
        "sonar.paillier",
        "sonar.families",
        "sonar.veil",
        "sonar.manifests",
        "sonar.settling",
    ),
    Rule("sonar.telling", DOWN, ("sonar.errors", "sonar.frozen", "sonar.protocol", "sonar.telling")),
    Rule("sonar.processes", DOWN, (*_TELLING, "sonar.starting")),
    Rule("sonar.stairs", DOWN, (*_TELLING, "sonar.stairs")),
    Rule("sonar.cores", DOWN, (*_TELLING, "sonar.cores")),
    Rule("sonar.http", DOWN, ("sonar.errors", "sonar.protocol"), libraries=frozenset(["httpx"])),
    Rule("sonar.home", DOWN, (*_HOME, "sonar.manifests")),
    Rule(
        "sonar.chain.signatures",
        DOWN,
        ("sonar.errors", "sonar.protocol", "sonar.manifests", "sonar.chain.signatures"),
        libraries=_NETWORK,
    ),
    Rule("sonar.chain.header", DOWN, ("sonar.errors", "sonar.protocol.keccak", "sonar.chain.header")),
    Rule("sonar.chain.nearby", DOWN, ("sonar.chain.nearby",), libraries=_NETWORK),
    Rule(
        "sonar.chain.endpoint",
        DOWN,
        (*_HOME, "sonar.chain.nearby", "sonar.chain.endpoint"),
        libraries=_NETWORK,
    ),
    Rule(
        "sonar.chain.rpc",
        DOWN,
        (*_HOME, "sonar.chain.endpoint", "sonar.chain.header", "sonar.chain.rpc"),
        libraries=_NETWORK,
    ),
    Rule(
        "sonar.chain.contract",
        DOWN,
        (*_HOME, "sonar.chain.rpc", "sonar.chain.signatures", "sonar.chain.contract"),
        libraries=_NETWORK,
    ),
    Rule(
        "sonar.chain.sending",
        DOWN,
        (*_HOME, "sonar.chain.rpc", "sonar.chain.signatures", "sonar.chain.contract", "sonar.chain.sending"),
        libraries=_NETWORK,
    ),
    Rule("sonar.chain", DOWN, (*_HOME, "sonar.chain"), libraries=_NETWORK),
    Rule("sonar.store", DOWN, (*_HOME, "sonar.store"), libraries=_NETWORK),
    Rule(
        "sonar.localchain",
        DOWN,
        (*_TELLING, "sonar.home.files", "sonar.chain", "sonar.localchain"),
        libraries=_NETWORK | {"eth_tester", "eth", "eth_keys"},
    ),
    Rule("sonar.demo", BY_NAME, ("sonar",), own_not=_COMMANDS),
    *(
        Rule(package, BY_NAME, ("sonar",))
        for package in ("sonar.cli", "sonar.commands", "sonar.loads", "sonar.__main__")
    ),
    _pure(
        "sonar.verifying",
        "sonar.errors",
        "sonar.protocol",
        "sonar.paillier",
        "sonar.families",
        "sonar.veil",
        "sonar.manifests",
        "sonar.settling",
        "sonar.chain.signatures",
        "sonar.telling.verdicts",
        "sonar.verifying",
    ),
    Rule("sonar.verifying.reading", DOWN, (*_HOME, "sonar.manifests", "sonar.chain", "sonar.verifying")),
    Rule("sonar.wiring", DOWN, (*_HOME, "sonar.manifests", "sonar.chain", "sonar.store")),
    Rule("sonar.succeeding", DOWN, (*_HOME, "sonar.chain", "sonar.wiring")),
    Rule("sonar", DOWN, _HOME, libraries_not=_DECRYPTS_OR_HEAVY),
    _mine("mine.consent", "mine.privacy.policy"),
    _mine("mine.data"),
    _mine("mine.privacy", "mine.data"),
    _mine("mine.work", "mine.privacy", "mine.consent", "mine.data"),
    _mine("mine.accounts", "mine"),
    _mine("mine.hands", "mine.work", "mine.privacy", "mine.consent", "mine.data"),
    _mine("mine.node", "mine.hands", "mine.work", "mine.privacy", "mine.consent", "mine.data"),
    _mine("mine.wiring", "mine.node", "mine.work", "mine.privacy", "mine.consent", "mine.data"),
    _mine("mine.show", "mine.wiring", "mine.node", "mine.work", "mine.privacy", "mine.consent", "mine.data"),
    _mine("mine", "mine"),
    _pysonar("pysonar.given"),
    _pysonar("pysonar.capsules"),
    _pysonar("pysonar.keys", "pysonar.capsules"),
    _pysonar("pysonar.frames", "pysonar.given"),
    _pysonar("pysonar.models", "pysonar.given", "pysonar.frames"),
    _pysonar("pysonar.statistics", "pysonar.frames"),
    _pysonar(
        "pysonar.bounty",
        "pysonar.capsules",
        "pysonar.frames",
        "pysonar.models",
        "pysonar.statistics",
        "pysonar.keys",
        "pysonar.given",
    ),
    _pysonar(
        "pysonar.campaign",
        "pysonar.capsules",
        "pysonar.frames",
        "pysonar.models",
        "pysonar.bounty",
        "pysonar.keys",
    ),
    _pysonar("pysonar.embedded", localchain=True),
    _pysonar(
        "pysonar.behind",
        "pysonar.capsules",
        "pysonar.frames",
        "pysonar.models",
        "pysonar.campaign",
        "pysonar.bounty",
        "pysonar.keys",
    ),
    _pysonar(
        "pysonar.wiring",
        "pysonar.behind",
        "pysonar.statistics",
        "pysonar.capsules",
        "pysonar.frames",
        "pysonar.models",
        "pysonar.campaign",
        "pysonar.bounty",
        "pysonar.keys",
        localchain=True,
    ),
    _pysonar("pysonar.rotating", "pysonar.wiring", "pysonar.bounty", "pysonar.campaign", "pysonar.keys"),
    _pysonar(
        "pysonar.show",
        "pysonar.accounts",
        "pysonar.rotating",
        "pysonar.wiring",
        "pysonar.capsules",
        "pysonar.frames",
        "pysonar.models",
        "pysonar.campaign",
        "pysonar.bounty",
        "pysonar.keys",
    ),
    _pysonar("pysonar.accounts", "pysonar"),
    _pysonar("pysonar.api", "pysonar", localchain=True),
    _pysonar("pysonar", "pysonar"),
    Rule("capsule", SEALED, ("sonar", "capsule"), own_not=_MINE_NOT, libraries_not=_DECRYPTS_OR_HEAVY),
)

ADAPTER_MODULES = ("sonar.store.folder", "sonar.store.memory", "sonar.store.kubo.store")
"""Only the modules named below, and stores themselves, may choose one of these."""
CHOOSERS = (
    "sonar.store",
    "sonar.cli",
    "sonar.demo",
    "mine.cli",
    "mine.wiring",
    "capsule.cli",
    "capsule.wiring",
    "pysonar.cli",
    "pysonar.wiring",
)


@dataclass(frozen=True, order=True)
class Offence:
    """One line that breaks a rule."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


@dataclass(frozen=True)
class Import:
    """One imported module, with the name taken from it if that might be a module itself."""

    line: int
    module: str


def check(root: Path) -> list[Offence]:
    """Return all offences below `root`, sorted."""
    paths = (path for package in PACKAGES for path in (root / package).rglob("*.py"))
    files = {module_name(path, root): path for path in paths}
    offences = []
    for module, path in files.items():
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        shown = str(path.relative_to(root))
        rule = rule_for(module)
        for line, text in _offences(module, path, tree, rule, frozenset(files)):
            offences.append(Offence(shown, line, f"{module} {text}"))
    return sorted(offences)


def rule_for(module: str) -> Rule:
    """Return the rule that decides for `module`."""
    return max((rule for rule in RULES if _below(module, rule.package)), key=lambda rule: len(rule.package))


def _offences(
    module: str, path: Path, tree: ast.Module, rule: Rule, modules: frozenset[str]
) -> Iterator[tuple[int, str]]:
    for found in imports_of(module, path, tree, modules):
        problem = _problem(module, found.module, rule)
        if problem:
            yield found.line, f"imports {found.module}: {problem}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            name = node.func.id
            if name in BANNED_CALLS or (rule.pure and name in PURE_BANNED_CALLS):
                yield node.lineno, f"calls {name}(): {rule.reason if rule.pure else NEVER_RUN}"
        if isinstance(node, ast.Call) and _called(node) == "import_module" and not _constant(node):
            yield node.lineno, "imports a module whose name is not written out"
        if rule.pure and isinstance(node, ast.Attribute) and node.attr == "random" and _is_numpy(node.value):
            yield node.lineno, f"uses numpy.random: {rule.reason}"


def _problem(module: str, imported: str, rule: Rule) -> str:
    """Return why `module` may not import `imported`, or nothing."""
    top = imported.split(".", maxsplit=1)[0]
    if top in BANNED_MODULES:
        return NEVER_RUN
    if top in PACKAGES:
        if not any(_below(imported, own) for own in rule.own) or any(
            _below(imported, no) for no in rule.own_not
        ):
            return rule.reason
        chosen = any(_below(imported, adapter) for adapter in ADAPTER_MODULES)
        if chosen and not any(_below(module, chooser) for chooser in CHOOSERS):
            return ADAPTERS
        return ""
    if top in sys.stdlib_module_names:
        allowed = (
            rule.stdlib is None or top in rule.stdlib or any(_below(imported, each) for each in rule.stdlib)
        )
    else:
        allowed = (rule.libraries is None or top in rule.libraries) and top not in rule.libraries_not
        allowed = allowed and not (rule.pure and _below(imported, "numpy.random"))
    return "" if allowed else rule.reason


def imports_of(module: str, path: Path, tree: ast.Module, modules: frozenset[str]) -> Iterator[Import]:
    """What a module imports, wherever in it; `modules` are ours, so that `from x import y` may be one."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (Import(node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, *([base] if base else [])])
            for alias in node.names:
                yield Import(node.lineno, _target(base, alias.name, modules))
        elif isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__"):
            yield from (Import(node.lineno, name) for name in [_constant(node)] if name)


def _target(base: str, name: str, modules: frozenset[str]) -> str:
    """Return what `from base import name` imports: a module below base, or base itself."""
    full = f"{base}.{name}".lstrip(".")
    if not base or full in modules or (base == "importlib" and name == "resources"):
        return full
    return "numpy.random" if full == "numpy.random" else base


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _constant(node: ast.Call) -> str:
    first = node.args[0] if node.args else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""


def _is_numpy(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("np", "numpy")


def _below(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def module_name(path: Path, root: Path) -> str:
    """The dotted name of the module in a file below `root`."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def main(arguments: list[str]) -> int:
    """Print the offences."""
    root = Path(arguments[0]) if arguments else Path(__file__).resolve().parent.parent
    offences = check(root)
    for offence in offences:
        print(offence)
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
