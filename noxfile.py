"""Every check, each in an environment of its own: ``nox -s tests docs lint lowest newest audit``."""

import shutil
from pathlib import Path

import nox

nox.options.sessions = ["lint", "tests", "docs"]
PROJECT = nox.project.load_toml("pyproject.toml")["project"]
BESIDE_THE_PACKAGE = ("tests", "docs", "examples", "benchmarks", "pyproject.toml", "README.md", "CHANGELOG.md",
                      "CONTRIBUTING.md")  # fmt: skip


def install(session, *arguments):
    """Install into the session's environment; with ``--no-venv`` take what is there."""
    if not isinstance(session.virtualenv, nox.virtualenv.PassthroughEnv):
        session.install(*arguments)


def wheel(session):
    """Build the package as its users get it and return the file."""
    built = Path(session.create_tmp()).resolve() / "dist"
    shutil.rmtree(built, ignore_errors=True)
    session.run("python", "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(built), ".")
    return str(next(built.glob("*.whl")))


def run_tests(session):
    """Run the tests, then the examples in docstrings, on the installed package: no source of it is in sight."""
    beside = Path(session.create_tmp()).resolve() / "beside"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    for name in BESIDE_THE_PACKAGE:
        (shutil.copytree if Path(name).is_dir() else shutil.copy)(name, beside / name)
    session.chdir(beside)
    session.run("python", "-c", f"import skreid; assert not skreid.__file__.startswith({str(beside)!r})")
    session.run("python", "-m", "pytest", *(session.posargs or ["tests"]))
    if not session.posargs:
        session.run("python", "-m", "pytest", "-c", "pyproject.toml", "--pyargs", "skreid")


@nox.session
def tests(session):
    """Run the tests and the examples in docstrings on the built wheel."""
    install(session, f"{wheel(session)}[test,docs]")
    run_tests(session)


@nox.session
def nightly(session):
    """Try more than 10,000 random inputs on every reader, and twenty kills of a training."""
    install(session, f"{wheel(session)}[test]")
    fuzzed = ["tests/test_fuzz.py", "tests/test_gallery_stateful.py", "--hypothesis-profile=nightly"]
    session.posargs[:] = [*fuzzed, "--hypothesis-show-statistics", *session.posargs]
    run_tests(session)
    session.run("python", "-m", "pytest", "-m", "slow", "tests")


@nox.session
def lint(session):
    """Check style, format and spelling."""
    install(session, "ruff>=0.9", "codespell>=2.3")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run(
        "codespell", "skreid", "tests", "examples", "benchmarks", "docs", "README.md", "CHANGELOG.md", "CONTRIBUTING.md"
    )


@nox.session
def docs(session):
    """Build the pages with warnings as errors, then check every link and picture."""
    install(session, "-e", ".[docs]")
    session.env["MPLBACKEND"] = "agg"
    shutil.rmtree("docs/_build/html", ignore_errors=True)  # pages of names that are gone
    session.run("python", "-m", "sphinx", "-W", "--keep-going", "docs", "docs/_build/html", *session.posargs)
    session.run("python", "docs/check_site.py", "docs/_build/html")


@nox.session(python="3.11")
def lowest(session):
    """Run the tests with the lowest versions that pyproject.toml allows."""
    pinned = [entry.replace(">=", "===") for entry in floors()]  # of this very name: no other build of a version
    install(session, f"{wheel(session)}[test]", *pinned)
    run_tests(session)


@nox.session
def newest(session):
    """Run the tests with the newest versions, pre-releases included."""
    install(session, "--upgrade", "--pre", f"{wheel(session)}[test]")
    run_tests(session)


@nox.session
def audit(session):
    """Ask the advisory service for known vulnerabilities in the lowest versions allowed."""
    install(session, "pip-audit")
    listed = Path(session.create_tmp()).resolve() / "lowest.txt"
    listed.write_text("\n".join(entry.replace(">=", "==") for entry in floors()))
    session.run("pip-audit", "--no-deps", "--disable-pip", "--requirement", str(listed))


def floors():
    """Return every dependency of users with the floor that pyproject.toml declares for it."""
    extras = ("plot", "weights", "mat", "skops", "dask")
    return PROJECT["dependencies"] + [entry for extra in extras for entry in PROJECT["optional-dependencies"][extra]]
