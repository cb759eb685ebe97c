"""README and docs: every command exists, every example runs, every quoted figure is true."""

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.analyze.analysis import Analysis
from harness.commands.parser import main
from harness.records import folders
from harness.report import formats
from harness.report.names import shortened
from harness.tables import TABLES, text

ROOT = Path(__file__).parent.parent
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "results" / "README.md"]
HOW_TO_READ = "1.37×"  # an example of a speedup, in the glossary and wherever one is explained
FAST = ["--train-effort", "quick", "--train-steps", "1", "-p", "no:cacheprovider"]


def commands():
    """Every line of a code fence without a language, and every inline command."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        fences = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
        fenced = "\n".join(body for language, body in fences if not language)
        inline = re.findall(r"`((?:pytest|tox|python -m harness|python docs)[^`\n]*)`", text)
        for line in [*fenced.splitlines(), *inline]:
            for command in line.split("&&"):
                yield page.name, command.strip()


def named(program):
    return sorted({command for _, command in commands() if command.startswith(program)})


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_links_between_pages_lead_somewhere():
    """A missing file or heading is a broken promise."""
    for page in PAGES:
        for link in re.findall(r"\]\(([^):]+)\)", page.read_text(encoding="utf-8")):
            target, _, anchor = link.partition("#")
            linked = page.parent / target if target else page
            assert linked.exists(), f"{page.name}: {link}"
            assert not anchor or anchor in anchors(linked), f"{page.name}: {link}"


def written():
    """The text of all pages."""
    return "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def examples():
    """The run folders that the pages show."""
    names = set(re.findall(r"results/examples/([\w-]+)", written()))
    return [ROOT / "results" / "examples" / name for name in sorted(names)]


def test_every_example_is_shown():
    """None lies about that nobody sees."""
    kept = {path for path in (ROOT / "results" / "examples").iterdir() if path.is_dir()}
    assert set(examples()) == kept


def test_the_files_of_the_examples_are_what_their_runs_give_today():
    """Every table, from run.json alone."""
    for folder in examples():
        run = shortened(folders.read(folder))
        analysis = Analysis(run)
        for declared in filter(analysis.rows, TABLES):
            made = formats.to_markdown(text.of_run(declared, analysis.rows(declared), run))
            name = declared.name
            assert made == (folder / "tables" / f"{name}.md").read_text(encoding="utf-8")


def loaded(name):
    """A script of the docs as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_making_the_examples_again_changes_no_page(monkeypatch):
    """`tox -e examples` was run after the last change of a caption."""
    monkeypatch.setenv("COLUMNS", "100")
    made = loaded("make_examples")
    for page in made.pages():
        text = page.read_text(encoding="utf-8")
        assert made.quoted(text) == text, page.name


@pytest.mark.parametrize("name", ["README.md", "docs/case-study-mnist.md", "docs/scaling.md"])
def test_the_tables_and_ratios_of_a_page_are_those_of_its_examples(name):
    """Each table whole, and no ratio in the text that is in no table."""
    page = (ROOT / name).read_text(encoding="utf-8")
    tables = {
        path.read_text(encoding="utf-8").strip()
        for folder in examples()
        for path in (folder / "tables").glob("*.md")
    }
    shown = [text for text in tables if text in page]
    titles = re.findall(r"^\*\*.*\*\*\n\n\|", page, re.MULTILINE)
    assert len(shown) == len(titles) >= 1
    printed = "\n".join(output for _, output in consoles())  # tested below
    known = set(re.findall(r"\d+\.\d\d×", "\n".join([*tables, printed, HOW_TO_READ])))
    assert set(re.findall(r"\d+\.\d\d×", page)) <= known


def test_what_the_readme_quotes_is_printed():
    """Word for word, in a console of another page."""
    printed = " ".join("\n".join(output for _, output in consoles()).split())
    quotes = re.findall(r"^> (.*)$", (ROOT / "README.md").read_text(encoding="utf-8"), re.M)
    assert quotes
    assert [quote for quote in quotes if quote not in printed] == []


def test_the_readme_is_short():
    """Two minutes: it fits on three screens."""
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


def test_the_generated_pages_are_current():
    """`tox -e examples` was run after the last change of an option or a docstring."""
    for path, made in loaded("make_reference").pages().items():
        assert path.read_text(encoding="utf-8") == made, path.name


def test_every_page_is_in_the_index():
    """A page that nobody finds answers nothing."""
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"]({page.name})" in index, page.name


def consoles():
    """Each command that a page shows with what it prints."""
    return re.findall(
        r"^```console\n\$ python -m harness (.*?)\n(.*?)^```", written(), re.DOTALL | re.MULTILINE
    )


def test_the_consoles_of_the_pages_are_what_their_commands_print(capsys, monkeypatch):
    """At 100 columns, from the examples."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(ROOT)
    assert len(consoles()) >= 2
    for command, output in consoles():
        main(shlex.split(command))
        printed = capsys.readouterr().out
        assert [line.rstrip() for line in printed.splitlines()] == output.splitlines(), command


def test_every_tox_environment_that_is_named_exists():
    """`tox -e NAME`."""
    headings = re.findall(r"^\[testenv:(\w+)(?:\{(.*)\})?\]", (ROOT / "tox.ini").read_text(), re.M)
    known = {name + end for name, ends in headings for end in ends.split(",")}
    used = {re.search(r"-e ([\w,]+)", command)[1] for command in named("tox -e")}
    assert used
    assert {name for names in used for name in names.split(",")} <= known


def test_every_pytest_option_that_is_named_exists(pytester):
    """`--train-…` and `--benchmark-…`."""
    text = written()
    known = set(re.findall(r"--[\w-]+", pytester.runpytest_inprocess("--help").stdout.str()))
    used = set(re.findall(r"--(?:train|benchmark)-[a-z-]*[a-z]", text))
    assert used
    assert used <= known


@pytest.mark.parametrize("command", named("pytest suites"))
def test_every_pytest_command_collects_tests(command):
    """Its options can be read, and it selects something."""
    asked = shlex.split(command.replace("…", ""))
    done = subprocess.run(
        [sys.executable, "-m", *asked, "--collect-only", "-q", "-p", "no:cacheprovider"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_script_that_is_named_exists():
    """`python docs/evidence/….py`."""
    scripts = [shlex.split(command)[1] for command in named("python docs/")]
    assert scripts
    assert all((ROOT / script).is_file() for script in scripts)


def test_every_test_that_is_named_exists():
    """By its file, and by its function."""
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    tests = {path: path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")}
    files = set(re.findall(r"`((?:unit/\w+|integration)/test_\w+\.py)", text))
    assert files
    assert {ROOT / "tests" / file for file in files} <= set(tests)
    functions = set(re.findall(r"::(test_\w+)`", text))
    assert functions
    code = "\n".join(tests.values())
    assert {name for name in functions if f"def {name}(" not in code} == set()


@pytest.mark.parametrize("command", named("python -m harness"))
def test_every_subcommand_that_is_named_exists(command, capsys):
    """Its own help opens."""
    name = shlex.split(command)[3]
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert name in capsys.readouterr().out


@pytest.mark.slow
def test_the_main_command_measures_and_writes(tmp_path):
    """As the README has it, made short: small batches, one variant, one step a round."""
    command = "pytest suites/ --benchmark-autosave"
    assert command in named("pytest suites/")
    short = ["--train-batch-sizes", "32,64", "--train-variants", "improved"]
    short += ["--train-levers", "precision=mixed_bfloat16,feed=cached", "--train-output"]
    storage = f"--benchmark-storage=file://{tmp_path / 'saved'}"
    done = subprocess.run(
        [sys.executable, "-m", *shlex.split(command), *short, str(tmp_path), *FAST, storage],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    for name in ("measurements", "batch_size_speedup", "model_size_speedup", "thread_speedup"):
        assert (folder / "tables" / f"{name}.csv").is_file()
    for name in ("measurements", "model_size_speedup", "thread_speedup"):
        assert (folder / "charts" / f"{name}.png").is_file()
    assert list((tmp_path / "saved").rglob("*.json"))
    assert main(["report", str(folder)]) == 0


def made_short(command):
    """A `harness run` of the docs, made to take seconds."""
    asked = shlex.split(command)[3:]
    if "--batch-sizes" not in asked:
        asked += ["--batch-sizes", "4"]
    for option, value in (("--batch-sizes", "4,8"), ("--input-shape", "32,32,3")):
        if option in asked:
            asked[asked.index(option) + 1] = value
    return [*asked, "--effort", "quick", "--steps", "1", "--threads", "1"]


RUNS = {" ".join(made_short(c)) for c in named("python -m harness run") if "docs/examples" in c}


@pytest.mark.slow
@pytest.mark.parametrize("command", sorted(RUNS))
def test_every_model_of_the_docs_is_measured(command, tmp_path, monkeypatch):
    """As the command has it, made short."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "docs" / "examples", tmp_path / "docs" / "examples")
    subprocess.run([sys.executable, "docs/examples/make_data.py"], cwd=tmp_path, check=True)
    assert main(command.split()) == 0


@pytest.mark.slow
def test_the_examples_run(tmp_path):
    """A user's model, data and suite, in a folder of the user's own."""
    for file in (ROOT / "docs" / "examples").iterdir():
        if file.suffix == ".py":
            shutil.copy(file, tmp_path)
    subprocess.run([sys.executable, "make_data.py"], cwd=tmp_path, check=True)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--train-dataset", "my_data.npz", *FAST],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout
