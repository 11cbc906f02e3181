"""Text as it can be shown: printed, drawn, or written to a page.

A file name may hold bytes that are no text, and a label what nobody sees.
"""


def visible(text):
    """Return a text with invisible characters escaped: controls, marks of direction, lone surrogates.

    The two joiners stay as they are, because some scripts and emoji need them.
    """
    return "".join(
        letter if letter.isprintable() or letter in "\u200c\u200d" else letter.encode("unicode_escape").decode()
        for letter in str(text)
    )


def count(number, noun, plural=None):
    """Return a number with its noun, such as "1 image" or "2 images"."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
