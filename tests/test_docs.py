"""The pages are correct: links, code blocks, commands, options, paths and figures."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
import tomllib
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from io import StringIO
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SITE = ROOT / "docs"
DOCS = sorted(SITE.rglob("*.md"))
TOP = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")]
PAGES = [*TOP, *DOCS]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def in_site(page: Path) -> str:
    """The page as mkdocs.yml names it; pages outside the site by their file."""
    return page.relative_to(SITE).as_posix() if page.is_relative_to(SITE) else page.name


each_page = pytest.mark.parametrize("page", PAGES, ids=in_site)


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


# --- code blocks ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    """A fenced code block with its language, or an indented one, which has shell lines."""

    language: str
    text: str


def blocks(text: str) -> list[Block]:
    """All code blocks of a page, in order."""
    fence = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
    fenced = [Block(match[1], match[2]) for match in fence.finditer(text)]
    rest = fence.sub("", text)
    indented = re.findall(r"(?<=\n\n)(?: {4}[^\n]+\n)+", rest)
    return fenced + [Block("sh", re.sub("(?m)^ {4}", "", text)) for text in indented]


def test_code_blocks_are_found():
    page = "Text\n\n    initcheck doctor\n\n```python\nx = 1\n```\n"
    assert blocks(page) == [Block("python", "x = 1\n"), Block("sh", "initcheck doctor\n")]


@each_page
def test_every_block_names_a_language_that_is_checked(page):
    languages = {block.language for block in blocks(read(page))}
    assert languages <= {"python", "toml", "yaml", "sh", "console", "text"}


@each_page
def test_python_and_toml_parse(page):
    for block in blocks(read(page)):
        if block.language == "python":
            ast.parse(block.text)
        if block.language == "toml":
            tomllib.loads(block.text)


# --- commands -------------------------------------------------------------------------------------


def shell_lines(block: Block) -> Iterator[str]:
    """The commands of a block, each on one line."""
    lines = block.text.replace("\\\n", " ").splitlines()
    if block.language == "sh":
        yield from filter(None, lines)
    if block.language == "console":
        yield from (line[2:] for line in lines if line.startswith("$ "))
    if block.language == "yaml":
        yield from (line.partition("run:")[2] for line in lines if "run:" in line)


@cache
def command():
    """The function behind the command ``initcheck``, as the package declares it."""
    scripts = tomllib.loads(read(ROOT / "pyproject.toml"))["project"]["scripts"]
    module, _, function = scripts["initcheck"].partition(":")
    return getattr(importlib.import_module(module), function)


@cache
def usage(*words: str) -> str:
    """What ``initcheck WORDS --help`` prints."""
    printed = StringIO()
    with redirect_stdout(printed), pytest.raises(SystemExit):
        command()([*words, "--help"])
    return printed.getvalue()


@cache
def subcommands() -> frozenset[str]:
    return frozenset(re.findall(r"^ {4}([a-z-]+)(?: |$)", usage(), flags=re.MULTILINE))


def flags(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))


def options(config: pytest.Config) -> set[str]:
    """The names of initcheck's options, as pytest knows them."""
    names = (key.removeprefix("initcheck_") for key in vars(config.option) if "initcheck_" in key)
    return {name.replace("_", "-") for name in names}


def sessions() -> set[str]:
    """The sessions of the noxfile."""
    tree = ast.parse(read(ROOT / "noxfile.py"))
    return {
        node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.decorator_list
    }


def wrong(line: str, config: pytest.Config) -> list[str]:
    """Options, subcommands, modules and sessions that a shell line names but do not exist."""
    words = [w.removeprefix(".venv/bin/") for w in shlex.split(line, comments=True)]
    given = {word.partition("=")[0] for word in words}
    known = {f"--initcheck-{name}" for name in options(config)}
    missing = [word for word in given if word.startswith("--initcheck-") and word not in known]
    for first, second, *rest in (words[i:] for i in range(len(words) - 1)):
        if first == "initcheck" and second in subcommands():
            missing += {g for g in rest if g.startswith("--")} - flags(usage(second))
        elif first == "initcheck" and not second.startswith("--"):
            missing.append(f"{first} {second}")
        elif first in ("python", "python3") and second == "-m" and find_spec(rest[0]) is None:
            missing.append(rest[0])
        elif first == "nox" and second == "-s" and rest[0] not in sessions():
            missing.append(f"nox -s {rest[0]}")
    return missing


@pytest.mark.parametrize(
    "line",
    [
        "pytest benchmarks --initcheck-seed 4",
        "initcheck explode CLAIM",
        "initcheck doctor --demand cuda",
        "python -m initcheck.no_such_module",
        "nox -s no_such_session",
    ],
)
def test_a_shell_line_with_a_mistake_is_found(line, pytestconfig):
    assert wrong(line, pytestconfig)


@each_page
def test_shell_lines_name_what_exists(page, pytestconfig):
    lines = [line for block in blocks(read(page)) for line in shell_lines(block)]
    assert {line: found for line in lines if (found := wrong(line, pytestconfig))} == {}


@pytest.mark.parametrize("page", [*PAGES, *WORKFLOWS], ids=in_site)
def test_options_and_commands_in_the_text_exist(page, pytestconfig):
    text = read(page)
    named = set(re.findall(r"--initcheck-([a-z]+(?:-[a-z]+)*)", text))
    assert named <= options(pytestconfig)
    assert set(re.findall(r"`initcheck ([a-z]+)", text)) <= subcommands()


# --- the page of options --------------------------------------------------------------------------

OPTIONS_PAGE = ROOT / "docs" / "options.md"


def test_the_page_of_options_has_every_option_once(pytestconfig):
    rows = re.findall(r"^\| `--initcheck-([a-z-]+)[^|]*", read(OPTIONS_PAGE), re.MULTILINE)
    assert sorted(rows) == sorted(options(pytestconfig))


def test_keys_and_variables_have_the_words_of_their_option(pytestconfig):
    named = re.search(r"`--(initcheck-[a-z-]+)`\s+they are `(\w+)` and `(\w+)`", read(OPTIONS_PAGE))
    assert named
    key = named[1].replace("-", "_")
    assert (named[2], named[3]) == (key, key.upper())
    for name in options(pytestconfig):
        pytestconfig.getini(f"initcheck_{name.replace('-', '_')}")  # raises if there is no such key


def test_the_page_of_options_has_every_subcommand():
    rows = set(re.findall(r"^\| `initcheck ([a-z-]+)", read(OPTIONS_PAGE), flags=re.MULTILINE))
    assert rows == subcommands()


def test_the_page_of_options_has_every_option_of_the_subcommands():
    documented = flags(read(OPTIONS_PAGE))
    for name in subcommands():
        assert flags(usage(name)) - {"--help"} <= documented, name


# --- links and paths ------------------------------------------------------------------------------


def links(text: str) -> list[tuple[str, str]]:
    """Target and anchor of each link of a page that stays within the project."""
    pairs = re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", text)
    return [(target, anchor) for target, anchor in pairs if "://" not in target]


def anchors(text: str) -> set[str]:
    """The anchors of a page: those of its headings, and its own."""
    titles = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {*re.findall(r'<a id="([^"]+)"></a>', text)} | {
        re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles
    }


def broken(page: Path, text: str) -> list[str]:
    """Links of a page that lead nowhere."""
    leads_nowhere = []
    for target, anchor in links(text):
        file = page.parent / target if target else page
        if not file.is_file() or (anchor and anchor not in anchors(read(file))):
            leads_nowhere.append(f"{target}#{anchor}")
    return leads_nowhere


def test_broken_links_are_found():
    page = "[a](docs/nothing.md) [b](docs/index.md#nowhere) [c](docs/index.md) [d](#here)\n# Here\n"
    assert broken(ROOT / "README.md", page)[:2] == ["docs/nothing.md#", "docs/index.md#nowhere"]


@each_page
def test_no_link_is_broken(page):
    assert broken(page, read(page)) == []


@pytest.mark.parametrize("page", DOCS, ids=in_site)
def test_links_of_the_site_stay_in_the_site(page):
    targets = [(page.parent / target).resolve() for target, _ in links(read(page)) if target]
    assert [str(target) for target in targets if not target.is_relative_to(SITE)] == []


def test_every_page_is_in_the_navigation():
    listed = re.findall(r"^ +- [^:]+: (\S+\.md)$", read(ROOT / "mkdocs.yml"), flags=re.MULTILINE)
    assert sorted(listed) == sorted(map(in_site, DOCS))


@each_page
def test_paths_in_the_text_exist(page):
    parts = "initcheck|benchmarks|baselines|docs|tests|[.]ci|[.]github"
    named = set(re.findall(rf"`((?:{parts})/[\w./-]*)`", read(page)))
    assert sorted(path for path in named if not (ROOT / path).exists()) == []


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda page: page.name)
def test_actions_are_pinned_to_commits_with_their_version(workflow):
    used = re.findall(r"uses: (.+)", read(workflow))
    assert used
    assert [line for line in used if not re.fullmatch(r"\S+@[0-9a-f]{40} # v[\d.]+", line)] == []


# --- the tutorial ---------------------------------------------------------------------------------


def steps(text: str) -> Iterator[tuple[str, str, list[str]]]:
    """The tutorial's steps, in order: a file with its text, or a command with its output."""
    for block in blocks(text):
        first, _, rest = block.text.partition("\n")
        if block.language in ("python", "toml"):
            yield "write", first.removeprefix("# "), [block.text]
        if block.language == "console":
            yield (
                "run",
                first.removeprefix("$ "),
                [line for line in rest.splitlines() if line != "..."],
            )


def test_the_tutorial_works_from_an_empty_folder(project, capsys):
    (project.path / "test_claims.py").unlink()
    (project.path / "baselines" / "limits.toml").unlink()
    ran = []
    for act, what, lines in steps(read(ROOT / "docs" / "add-a-claim.md")):
        if act == "write":
            (project.path / what).write_text(lines[0], encoding="utf-8")
            continue
        name, *arguments = shlex.split(what, comments=True)
        wanted = int(what.rpartition("# exit code ")[2])
        if name == "pytest":
            result = project.run(*arguments)
            code, output = result.ret, result.text
        else:
            code, output = command()(arguments), " ".join(capsys.readouterr().out.split())
        ran.append(name)
        assert code == wanted, f"{what}: {output}"
        for line in lines:
            assert " ".join(line.split()) in output, what
    assert ran == ["pytest"] * 4 + ["initcheck"]
