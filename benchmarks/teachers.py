"""What a network that has learned other people first finds: drawn people, or those of another folder.

Run ``python -m benchmarks.teachers`` for drawn people as teachers (``--drawn 0 1000 5000``: how many; 0 is none). With
``--teacher-folder DIR`` and ``--teacher-pattern REGEX``, the people of another folder teach as well. Each teacher's
network starts from ``--weights``, learns for ``--teacher-epochs``, and is written beside the table as
``teacher-NAME.safetensors``: a file for ``MultiDepthReID(weights=...)``. The students, and the options for them, are
those of `benchmarks.accuracy`: each of ``--draws`` trains on some people, from each teacher's weights, and ranks
galleries of others. ``--student-epochs`` compares several lengths of this second training; 0 is none. Prints a table
and writes ``teachers.json``.
"""

import argparse
import tempfile
from pathlib import Path

from safetensors.numpy import save_file
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from benchmarks._data import HelpFormatter, add_options, capacity, contents, lda, network, parse, read_sets
from benchmarks._draws import add_draws, draws, measure, publish, say, summaries, table
from skreid import STRONGEST
from skreid.datasets import load_image_folder, make_pedestrians


def teachers(options, memory):
    """Train the teachers; return name -> file of weights, or None for the student's own start.

    Drawn people are of difficulty "hard", with two images for each of two cameras.
    """
    files = {}
    for n_people in options.drawn:
        if not n_people:
            files["no teacher"] = None
            continue
        size, name = tuple(options.input_size), f"{n_people} drawn people"
        people = make_pedestrians(n_people, image_size=size, difficulty="hard", random_state=1)
        files[name] = _taught(people.images, people.target, name, options, memory)
    if options.teacher_folder:
        people = load_image_folder(options.teacher_folder, pattern=options.teacher_pattern)
        name = f"people of {options.teacher_folder.name}"
        files[name] = _taught(people.paths, people.target, name, options, memory)
    return files


def check_strangers(options, sets):
    """Refuse teachers whose pictures are among those of the students: people who are tested would have taught."""
    if options.teacher_folder and options.folder:
        people = load_image_folder(options.teacher_folder, pattern=options.teacher_pattern)
        of_teachers = dict(zip(contents(people.paths), people.paths, strict=True))
        for dataset in sets.values():
            paths = next(iter(dataset.values()))
            for path, digest in zip(paths, contents(paths), strict=True):
                if digest in of_teachers:
                    raise SystemExit(
                        f"{of_teachers[digest]} of --teacher-folder is the same picture as {path} of --folder: "
                        "teachers must be other people than those who are trained on and tested."
                    )


def _taught(X, y, name, options, memory):
    """Return the file of weights of a network that learned these people."""
    teacher = network(options, memory).set_params(max_epochs=options.teacher_epochs, checkpoint=None)
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / f"teacher-{name.replace(' ', '-')}.safetensors"
    save_file(teacher.fit(X, y).weights_, file)
    return file


def students(reid, weights, lengths, n_components, n_filters):
    """Return name -> system, each trained from each teacher's weights, for each length of training.

    `n_filters` is that of the strongest descriptor.
    """
    rows = {}
    for teacher, file in weights.items():
        for epochs in lengths:
            default = clone(reid).set_params(max_epochs=epochs, **({} if file is None else {"weights": str(file)}))
            strongest = clone(default).set_params(**STRONGEST | {"n_filters": n_filters})
            name = f"{teacher}, {epochs} epochs"
            rows[name] = default
            rows[f"{name}: strongest, PCA, LDA"] = make_pipeline(strongest, *lda(n_components))
    return rows


def run(name, dataset, options, memory, weights):
    """Evaluate all students on one data set; return one row of plain values per student."""
    lengths, drawn = options.student_epochs or [options.epochs], []
    reid = network(options, memory)
    most, n_dimensions = capacity(reid)
    n_filters = min(STRONGEST["n_filters"], most)
    for draw, (train, tested) in enumerate(draws(dataset, options)):
        n_components = min(1500, len(train) // 2, n_dimensions * n_filters // reid.n_filters)
        systems = students(reid, weights, lengths, n_components, n_filters)
        drawn.append(measure(systems, dataset, train, tested, options))
        print(table(summaries(name, drawn)), flush=True)
        say(draw, dataset, train, options)
    return summaries(name, drawn)


def main(arguments=None):
    """Run the benchmark with the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add_options(parser, ["hard"], 10, "random galleries per draw of people", "teachers.json and the teachers' weights")
    add_draws(parser)
    parser.add_argument("--drawn", type=int, nargs="*", default=[0, 1000], help="numbers of drawn people that teach")
    parser.add_argument("--teacher-folder", type=Path, help="folder of pictures of people that teach")
    parser.add_argument("--teacher-pattern", help="regular expression with group identity, for --teacher-folder")
    parser.add_argument("--teacher-epochs", type=int, default=4, help="most training epochs of a teacher")
    parser.add_argument("--student-epochs", type=int, nargs="+", help="most epochs of a student, if not --epochs")
    options = parse(parser, arguments)
    if not (options.drawn or options.teacher_folder):
        parser.error("There is no teacher: give --drawn numbers, of which 0 is none, or --teacher-folder.")
    if bool(options.teacher_folder) != bool(options.teacher_pattern):
        parser.error("--teacher-folder and --teacher-pattern need each other.")
    sets = read_sets(options)
    check_strangers(options, sets)
    with tempfile.TemporaryDirectory() as temporary:
        memory = options.memory or temporary
        weights = teachers(options, memory)
        rows = [row for name, dataset in sets.items() for row in run(name, dataset, options, memory, weights)]
    publish(rows, options, "teachers")


if __name__ == "__main__":
    main()
