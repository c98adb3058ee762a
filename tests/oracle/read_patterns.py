"""Reads STIX patterns with the OASIS parser, for comparison with our reader and our writer.

    python read_patterns.py PATTERNS.jsonl

Each line of the file is {"body": <pattern>}. The answer is {"patterns": [...]} on stdout, in the order of the lines: null
for a text that is no pattern, else the comparisons as [object type, path, operator, value], where a value that was in
quotes is without them and without its escapes.
"""

import argparse
import json
import logging
import re
import sys

from stix2patterns.exceptions import ParseException
from stix2patterns.v21.pattern import Pattern


def plain(literal):
    """The value that a literal stands for."""
    if not literal.startswith("'"):
        return literal
    return re.sub(r"\\(['\\])", r"\1", literal[1:-1], flags=re.DOTALL)


def comparisons(text):
    """The comparisons of a pattern; None for a text that is none."""
    try:
        pattern = Pattern(text)
    except ParseException:
        return None
    try:
        found = pattern.inspect().comparisons
    except Exception:  # pylint: disable=broad-except
        # It is a pattern, though the inspector stumbles over it.
        return []
    return [
        [object_type, [str(step) for step in path], operator, plain(value)]
        for object_type, all_of_type in found.items()
        for path, operator, value in all_of_type
        if value is not None
    ]


def main():
    """Reads the file named on the command line and prints the answer."""
    parser = argparse.ArgumentParser(description="Reads STIX patterns with the OASIS parser.")
    parser.add_argument("patterns", help='JSON lines, each {"body": <pattern>}')
    path = parser.parse_args().patterns
    logging.disable(logging.CRITICAL)
    with open(path, encoding="utf-8") as lines:
        patterns = [comparisons(json.loads(line)["body"]) for line in lines]
    print(json.dumps({"patterns": patterns}), file=sys.__stdout__)


if __name__ == "__main__":
    main()
