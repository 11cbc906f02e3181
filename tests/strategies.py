"""Hypothesis strategies: images, identities, cameras, descriptors, file names, parameters, and damaged files."""

import os
import re

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

# images ---------------------------------------------------------------------------------------------------

SIDES = st.integers(1, 24)


@st.composite
def pixels(draw, channels=(None, 1, 3)):
    """One image as an array: grey or colour, uint8 or float in [0, 1] of any precision."""
    last = draw(st.sampled_from(channels))
    shape = (draw(SIDES), draw(SIDES)) + (() if last is None else (last,))
    dtype = draw(st.sampled_from([np.uint8, np.float16, np.float32, np.float64]))
    seed = draw(st.integers(0, 2**32 - 1))
    values = np.random.default_rng(seed).integers(draw(st.sampled_from([0, 255])), 256, shape).astype(np.uint8)
    return values if dtype is np.uint8 else (values / 255).astype(dtype)


@st.composite
def images(draw):
    """One image in any form that `X` may contain, except files."""
    array = draw(pixels())
    if array.dtype != np.uint8 or not draw(st.booleans()):
        return array
    return Image.fromarray(array[..., 0] if array.shape[-1:] == (1,) and array.ndim == 3 else array)


@st.composite
def stacks(draw, most=9):
    """Images as one array, or as a list of images of different sizes."""
    count = draw(st.integers(1, most))
    if draw(st.booleans()):
        return draw(st.lists(images(), min_size=count, max_size=count))
    image = draw(pixels())
    if image.ndim == 2 and image.shape[1] in (3, 4):  # as one array, they could be one colour image
        return [image] * count
    return np.repeat(image[None], count, axis=0)


def anything():
    """Arrays of any shape and type, which somebody may pass as images."""
    kinds = hnp.scalar_dtypes() | hnp.unicode_string_dtypes(max_len=3) | st.just(np.dtype(object))
    return kinds.flatmap(
        lambda kind: hnp.arrays(kind, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
    )


# identities and cameras -----------------------------------------------------------------------------------


def identities(n_images, n_identities=9):
    """Identities of `n_images` images, as numbers or as names, drawn with repetition."""
    numbers = st.integers(-1, n_identities)
    return st.lists(numbers, min_size=n_images, max_size=n_images) | st.lists(
        st.integers(0, n_identities).map("p{}".format), min_size=n_images, max_size=n_images
    )


def cameras(n_images, n_cameras=4):
    """Cameras of `n_images` images."""
    return st.lists(st.integers(0, n_cameras - 1), min_size=n_images, max_size=n_images)


def descriptors(n_images, n_features, dtype=np.float32):
    """Descriptors with many ties: whole numbers in a small range."""
    return hnp.arrays(dtype, (n_images, n_features), elements=st.integers(-3, 3).map(float))


# folders --------------------------------------------------------------------------------------------------

WORDS = {  # parts of the names in the layouts of the field
    "load_cuhk01": ["campus", "0001001.png", "0001002.png", "0001003.png", "0001004.png", "00010010.png"],
    "load_cuhk03": ["images_labeled", "labeled", "query", "1_001_1_01.png", "0001_00.jpg", "0001_c1_1.png"],
    "load_grid": ["probe", "gallery", "0001_1_25004_107_32_106_221.jpeg", "0000_7_25101_65_28_59_137.jpeg"],
    "load_ilids": ["Persons", "i-LIDS-VID", "images", "cam1", "person001", "0001001.jpg", "cam1_person001.png"],
    "load_image_folder": ["anna", "Anna ", "007"],
    "load_market1501": [
        "bounding_box_train",
        "query",
        "bounding_box_test",
        "0002_c1s1_000451_03.jpg",
        "-1_c2s1_1_3.jpg",
    ],
    "load_msmt17": ["train", "test", "0000", "list_train.txt", "0000_000_01_0303morning_0015_0.jpg"],
    "load_pku_reid": ["PKUv1a_128x48", "001_01_01.png", "002_02_08.png", "001"],
    "load_prid2011": ["single_shot", "multi_shot", "cam_a", "cam_b", "person_0001.png", "person_0201.png"],
    "load_viper": ["cam_a", "cam_b", "000_45.bmp", "000_0.bmp", "001_90.bmp"],
}


WORDS_FOR_MISSING = st.sampled_from(["", " ", "nan", "NaN", "None", "<NA>", "NA", "null", "unknown", "\u200b"])


def file_names(loader):
    """Paths that resemble those of a layout: its own words, other digits, any letters, and bytes that are no text."""
    words = st.sampled_from(WORDS[loader.__name__])
    odd = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=8)
    bytes_ = st.binary(min_size=1, max_size=6).map(
        lambda raw: os.fsdecode(raw.replace(b"/", b"_").replace(b"\0", b"_"))
    )
    digits = words.flatmap(
        lambda word: st.sampled_from(["", "9" * 30, "٣", "²", "-", "0"]).map(
            lambda new: re.sub(r"\d", new, word, count=1)
        )
    )
    part = (words | digits | odd | bytes_).filter(lambda name: name not in (".", "..") and len(os.fsencode(name)) < 99)
    clutter = st.sampled_from([".DS_Store", ".ipynb_checkpoints", "@eaDir", "__MACOSX", "Thumbs.db", "lost+found"])
    part |= clutter
    ending = st.sampled_from(["", ".png", ".jpg", ".AVIF", ".heic"])
    return st.builds(lambda parts, end: "/".join(parts) + end, st.lists(part, min_size=1, max_size=3), ending)


# parameters -----------------------------------------------------------------------------------------------


@st.composite
def parameters(draw):
    """Parameters of a `MultiDepthReID` with the narrow backbone, and the name of the wrong one, or None."""
    right = {
        "blur_size": st.integers(1, 40),
        "n_filters": st.integers(1, 4),
        "criterion": st.sampled_from(["margin", "dprime"]),
        "normalize": st.sampled_from([None, "l2", "centered", "rooted", "whitened"]),
        "sampling": st.sampled_from(["box", "pixel"]),
        "average_flips": st.booleans(),
        "batch_size": st.integers(2, 9),
        "learning_rate": st.floats(1e-6, 1e-2),
        "validation_fraction": st.floats(0, 0.9),
        "n_iter_no_change": st.integers(1, 3),
        "max_epochs": st.integers(0, 1),
        "augment": st.booleans() | st.lists(st.sampled_from(["flip", "crop", "color", "erase"])),
        "input_size": st.tuples(st.integers(4, 20), st.integers(4, 20)),
        "layers": st.lists(st.sampled_from(["low", "middle", "high"]), min_size=1, unique=True),
    }
    wrong = {
        "blur_size": st.sampled_from([0, -1, 1.5, None, "20"]),
        "n_filters": st.sampled_from([0, 9, 2.0, None]),
        "criterion": st.sampled_from(["margins", None, 1]),
        "normalize": st.sampled_from(["l1", True]),
        "sampling": st.sampled_from(["boxes", None, True]),
        "average_flips": st.sampled_from(["yes", None, 2]),
        "batch_size": st.sampled_from([0, 1, 2.5]),
        "learning_rate": st.sampled_from([0, -1.0, "fast"]),
        "validation_fraction": st.sampled_from([1.0, -0.1, "half"]),
        "n_iter_no_change": st.sampled_from([0, 1.5]),
        "max_epochs": st.sampled_from([-1, 1.5]),
        "augment": st.sampled_from(["flip", ["turn"]]),
        "input_size": st.sampled_from([(0, 4), (4,), (4, 4, 4), (2.5, 8), "ab"]),
        "layers": st.sampled_from([[], ["deep"], ["low", "low"]]),
    }
    chosen = draw(st.lists(st.sampled_from(sorted(right)), unique=True))
    given = {name: draw(right[name]) for name in chosen}
    mistaken = draw(st.none() | st.sampled_from(sorted(wrong)))
    if mistaken is not None:
        given[mistaken] = draw(wrong[mistaken])
    return given, mistaken


# damage ---------------------------------------------------------------------------------------------------


@st.composite
def damages(draw):
    """Return a function that changes, cuts, repeats or inserts bytes, and never returns what it was given."""
    kind = draw(st.sampled_from(["change", "cut", "insert", "repeat", "zeros", "tail"]))
    where, seed = draw(st.floats(0, 1, exclude_max=True)), draw(st.integers(1, 255))
    length = draw(st.integers(1, 64))

    def damage(content):
        start = int(where * len(content))
        stop = min(start + length, len(content))
        head, middle, rest = content[:start], content[start:stop], content[stop:]
        noise = np.random.default_rng(seed).integers(0, 256, length, dtype=np.uint8).tobytes()
        done = {
            "change": head + bytes(byte ^ seed for byte in middle) + rest,
            "cut": head,
            "insert": head + noise + middle + rest,
            "repeat": head + middle * 2 + rest,
            "zeros": head + bytes(len(middle)) + rest,
            "tail": content + noise,
        }[kind]
        return done if done != content else content + b"\1"

    return damage
