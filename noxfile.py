"""Every check, each in an environment of its own: ``nox -s tests docs lint lowest newest``."""

import shutil

import nox

nox.options.sessions = ["lint", "tests", "docs"]
PROJECT = nox.project.load_toml("pyproject.toml")["project"]


def install(session, *arguments):
    """Install into the session's environment; with ``--no-venv`` take what is there."""
    if not isinstance(session.virtualenv, nox.virtualenv.PassthroughEnv):
        session.install(*arguments)


@nox.session
def tests(session):
    """Run the tests and the examples in docstrings."""
    install(session, "-e", ".[test,docs]")
    session.run("python", "-m", "pytest", *session.posargs)


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
    install(session, "-e", ".[test]", *lowest_versions())
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def newest(session):
    """Run the tests with the newest versions, pre-releases included."""
    install(session, "--upgrade", "--pre", "-e", ".[test]")
    session.run("python", "-m", "pytest", *session.posargs)


def lowest_versions():
    """Return every dependency at the floor that pyproject.toml declares for it."""
    wanted = PROJECT["dependencies"] + [
        entry for extra in ("plot", "weights", "mat", "dask") for entry in PROJECT["optional-dependencies"][extra]
    ]
    return [entry.replace(">=", "==") for entry in wanted]
