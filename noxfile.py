"""Every check, each in an environment of its own: ``nox -s lint tests docs lowest newest nightly audit``."""

import shutil
import sys
from pathlib import Path

import nox

nox.options.sessions = ["lint", "tests", "docs"]
PROJECT = nox.project.load_toml("pyproject.toml")["project"]
READ_BY_TESTS = ("tests", "docs", "examples", "benchmarks", "pyproject.toml", "README.md", "CHANGELOG.md",
                 "CONTRIBUTING.md")  # fmt: skip


def install(session, *arguments):
    """Install into the session's environment; with ``--no-venv``, use what is installed already."""
    if not isinstance(session.virtualenv, nox.virtualenv.PassthroughEnv):
        session.install(*arguments)


def wheel(session):
    """Build the wheel, which is what users install, and return its path."""
    built = Path(session.create_tmp()).resolve() / "dist"
    shutil.rmtree(built, ignore_errors=True)
    session.run("python", "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(built), ".")
    return str(next(built.glob("*.whl")))


def run_tests(session):
    """Run the tests and the examples in docstrings on the installed package, in a folder without its sources."""
    folder = Path(session.create_tmp()).resolve() / "beside"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in READ_BY_TESTS:
        (shutil.copytree if Path(name).is_dir() else shutil.copy)(name, folder / name)
    session.chdir(folder)
    session.run("python", "-c", f"import skreid; assert not skreid.__file__.startswith({str(folder)!r})")
    session.run("python", "-m", "pytest", *(session.posargs or ["-n", "auto", "tests"]))
    if not session.posargs:
        session.run("python", "-m", "pytest", "-c", "pyproject.toml", "-n", "auto", "--pyargs", "skreid")


@nox.session
def tests(session):
    """Run the tests and the examples in docstrings on the built wheel."""
    install(session, f"{wheel(session)}[test,docs]")
    run_tests(session)


@nox.session
def nightly(session):
    """Try more than 10,000 random inputs on every reader, kill a training twenty times, run every benchmark."""
    install(session, f"{wheel(session)}[test,bench]")
    fuzzed = ["tests/test_fuzz.py", "tests/test_fuzz_inputs.py", "tests/test_gallery_stateful.py"]
    fuzzed += ["--hypothesis-profile=nightly"]
    session.posargs[:] = [*fuzzed, "--hypothesis-show-statistics", *session.posargs]
    run_tests(session)
    session.run("python", "-m", "pytest", "-m", "slow", "tests")
    session.run("python", "-m", "benchmarks", "--quick", "--out-folder", "results")


@nox.session
def lint(session):
    """Check style, format and spelling."""
    install(session, "ruff>=0.9", "codespell>=2.3")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("codespell", ".", ".ci", ".github")


@nox.session
def docs(session):
    """Check the pages as the repository shows them, build them with warnings as errors, and check the site."""
    install(session, "-e", ".[docs]")
    session.run("python", "docs/check_pages.py")
    session.env["MPLBACKEND"] = "agg"
    shutil.rmtree("docs/_build/html", ignore_errors=True)  # pages of names that no longer exist
    session.run("python", "-m", "sphinx", "-W", "--keep-going", "docs", "docs/_build/html", *session.posargs)
    session.run("python", "docs/check_site.py", "docs/_build/html")


@nox.session(python="3.11")
def lowest(session):
    """Run the tests with the lowest versions that pyproject.toml allows."""
    pinned = [entry.replace(">=", "===") for entry in floors()]  # === excludes builds with a suffix, such as 2.6.0+cpu
    # matplotlib before 3.10.7 uses names that pyparsing 3.3 deprecates, and warnings are errors in the tests.
    install(session, f"{wheel(session)}[test]", *pinned, "pyparsing<3.3")
    run_tests(session)


@nox.session
def newest(session):
    """Run the tests with the newest versions, pre-releases included."""
    install(session, "--upgrade", "--pre", f"{wheel(session)}[test]")
    run_tests(session)


@nox.session
def audit(session):
    """Ask the advisory service for known vulnerabilities in the lowest versions allowed.

    It fails by design: docs/developer/release.md says which advisories are accepted, and why.
    """
    install(session, "pip-audit")
    listed = Path(session.create_tmp()).resolve() / "lowest.txt"
    listed.write_text("\n".join(entry.replace(">=", "==") for entry in floors()))
    session.run("pip-audit", "--no-deps", "--disable-pip", "--requirement", str(listed))


def floors():
    """Return every dependency of users with the lowest version that pyproject.toml allows."""
    extras = ["plot", "weights", "mat", "skops", "dask", "timm", "onnx"]
    if sys.platform != "darwin":  # see the test extra
        extras.append("faiss")
    return PROJECT["dependencies"] + [entry for extra in extras for entry in PROJECT["optional-dependencies"][extra]]
