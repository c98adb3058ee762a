"""Imports queue messages with one release of the platform's Python client, and says what it sends.

    python import_objects.py MESSAGES.jsonl [--client FOLDER]

Each line of the file is {"body": <the message as it was published>}. The client is the one in FOLDER
(pip install --target), else the one that is installed. It is called as that release's worker calls
it, but in place of the platform it speaks to a recorder that needs no network: everything that it
creates gets an id, and lookups find what was created before.

The answer is one JSON object on stdout:

    client      the release of the client
    calls       [{"operation": ..., "variables": {...}, "answer": id, "standard_id": id}], in the
                order they were sent; of files their name, type and content in base64
    repeated    the same of a second import of all messages, by the same client
    errors      [{"error": ..., "source": ...}]: what the worker would report as an error of the work
    logged      what the client told its log as warning or error

Exit code 0 says that it ran, not that all is well.
"""

import argparse
import base64
import json
import logging
import re
import sys
import time
import types


def stub_missing_modules():
    """Some releases want python-magic, which wants libmagic: only to guess types of local files."""
    try:
        import magic  # noqa: F401  pylint: disable=import-outside-toplevel,unused-import
    except ImportError:
        sys.modules["magic"] = types.ModuleType("magic")


# The fields whose values the platform keeps in vocabularies, of the types that are imported here.
VOCABULARIES = {
    "account_type_ov": (["User-Account"], ["account_type"]),
    "indicator_type_ov": (["Indicator"], ["indicator_types"]),
    "organization_type_ov": (["Organization"], ["x_opencti_organization_type"]),
    "pattern_type_ov": (["Indicator"], ["pattern_type"]),
    "platforms_ov": (["Indicator"], ["x_mitre_platforms"]),
    "reliability_ov": (["Organization", "Individual", "System"], ["x_opencti_reliability"]),
}
SEVERAL = {"indicator_types", "x_mitre_platforms"}


def vocabulary_categories():
    """The platform's answer to what is kept in vocabularies."""
    return [
        {
            "key": key,
            "entity_types": entity_types,
            "fields": [
                {"key": field, "required": False, "multiple": field in SEVERAL}
                for field in fields
            ],
        }
        for key, (entity_types, fields) in VOCABULARIES.items()
    ]


ROOT_FIELD = re.compile(r"\{\s*(?:\w+\s*:\s*)?(\w+)")


def operation_of(json_body, data, files):
    """The operation and its variables, as the platform puts them together from one request: files
    travel beside it, and a map says which variable each of them is."""
    if data is None:
        return json_body["query"], json_body["variables"]
    operation = json.loads(data["operations"])
    content = {number: file for number, file in files}
    for number, paths in json.loads(data["map"]).items():
        for path in paths:
            put_at(operation, path.split("."), readable(*content[number]))
    return operation["query"], operation["variables"]


def put_at(tree, path, value):
    """Puts the value where the path leads."""
    *way, last = [int(step) if step.isdigit() else step for step in path]
    for step in way:
        tree = tree[step]
    tree[last] = value


def readable(name, data, mime):
    """A file as it can be written."""
    data = data.read() if hasattr(data, "read") else data
    return {"name": name, "mime": mime, "data": base64.b64encode(data).decode()}


class Answer:
    """What the platform answers, in the form of the requests library."""

    status_code = 200
    headers = {}

    def __init__(self, field, answer):
        self.text = json.dumps({"data": {field: answer}})

    def json(self):
        """The answer, read."""
        return json.loads(self.text)


class Recorder:
    """Stands in for the platform."""

    def __init__(self):
        self.calls = []
        self.errors = []
        self.created = {}
        self.numbers = {}
        self.client = None

    def post(self, _url, json=None, data=None, files=None, **_options):
        """What the client calls to send a request."""
        query, variables = operation_of(json, data, files)
        field = ROOT_FIELD.search(query).group(1)
        if query.lstrip().startswith("mutation"):
            return Answer(field, self.mutate(field, variables))
        return Answer(field, self.look_up(field, variables))

    def mutate(self, field, variables):
        """Records a mutation; answers the thing that it makes."""
        if field == "workEdit":
            self.take_report(variables)
            return {"reportExpectation": variables.get("id")}
        given = variables.get("input") or variables
        standard_id = given.get("stix_id") or self.standard_id(field, given)
        # What was created before keeps its id.
        key = standard_id or json.dumps([field, variables])
        number = self.numbers.setdefault(key, f"created-{len(self.numbers)}")
        call = {"operation": field, "variables": variables}
        self.calls.append({**call, "answer": number, "standard_id": standard_id})
        made = {name: value for name, value in given.items() if is_plain(name, value)}
        made["id"] = number
        made["standard_id"] = standard_id or number
        made["entity_type"] = given.get("type") or field.removesuffix("Add")
        made["parent_types"] = []
        self.created[number] = (field, made)
        return made

    def standard_id(self, field, given):
        """The id of what some releases refer to by the id that they expect the platform to give."""
        if field != "externalReferenceAdd":
            return None
        ends = (given["url"], given["source_name"], given["external_id"])
        return self.client.external_reference.generate_id(*ends)

    def take_report(self, variables):
        """Keeps what the worker reports as an error."""
        error = variables.get("error")
        if error is not None:
            self.errors.append(error)

    def look_up(self, field, variables):
        """Answers a question from what was created before."""
        if field == "vocabularyCategories":
            return vocabulary_categories()
        if field == "about":
            return {"version": "0.0.0"}
        if "filters" in variables or "search" in variables or field.endswith("s"):
            edges = [{"node": made} for made in self.matching(field, variables)]
            return {"edges": edges, "pageInfo": {"hasNextPage": False, "globalCount": len(edges)}}
        wanted = variables.get("id")
        for _, made in self.created.values():
            if wanted in (made["id"], made["standard_id"]):
                return made
        return None

    def matching(self, field, variables):
        """What was created of a list's kind and has one of the values that are asked for."""
        kind = {"labels": "labelAdd", "vocabularies": "vocabularyAdd"}.get(field)
        filters = (variables.get("filters") or {}).get("filters") or []
        for created_by, made in self.created.values():
            if created_by == kind and all(has(made, **entry) for entry in filters):
                yield made


def is_plain(name, value):
    """Whether the platform answers a field as it was given: an author is answered as an object."""
    return isinstance(value, (str, int)) and name != "createdBy"


def has(made, key, values, **_how):
    """Whether one of these properties has one of these values."""
    keys = [key] if isinstance(key, str) else key
    return any(made.get(name) in values for name in keys)


class Log(logging.Handler):
    """Keeps what the client warns of."""

    def __init__(self):
        super().__init__(level=logging.WARNING)
        self.lines = []

    def emit(self, record):
        cause = record.exc_info[1] if record.exc_info else None
        self.lines.append(record.getMessage() + (f": {cause!r}" if cause else ""))


def refuse_to_wait(seconds):
    """Only an error of the platform would make it wait, and there is none."""
    raise AssertionError(f"the client wants to wait for {seconds} s")


def import_messages(path, recorder):
    """Gives each message to the client twice, as the worker does; answers the client's release, and how
    many calls the first time took."""
    import pycti  # pylint: disable=import-outside-toplevel

    client = pycti.OpenCTIApiClient(
        "http://127.0.0.1:1", "token", "warning", perform_health_check=False
    )
    client.session = recorder
    recorder.client = client
    time.sleep = refuse_to_wait
    with open(path, encoding="utf-8") as lines:
        bodies = [json.loads(line)["body"] for line in filter(str.strip, lines)]
    import_bodies(client, bodies)
    first = len(recorder.calls)
    import_bodies(client, bodies)
    return pycti.__version__, first


def import_bodies(client, bodies):
    """Imports each message."""
    for body in bodies:
        content = base64.b64decode(body["content"]).decode("utf-8")
        kinds = body["entities_types"] or None
        client.stix2.import_bundle_from_json(content, body["update"], kinds, body["work_id"])


def main():
    """Reads the file named on the command line and prints the answer."""
    parser = argparse.ArgumentParser(description="Says what a release of the client imports.")
    parser.add_argument("messages", help='JSON lines, each {"body": <message>}')
    parser.add_argument("--client", help="the folder that has the release of the client")
    arguments = parser.parse_args()
    if arguments.client:
        sys.path.insert(0, arguments.client)
    stub_missing_modules()
    log = Log()
    logging.getLogger().addHandler(log)
    recorder = Recorder()
    release, first = import_messages(arguments.messages, recorder)
    answer = {
        "client": release,
        "calls": recorder.calls[:first],
        "repeated": recorder.calls[first:],
        "errors": recorder.errors,
        "logged": log.lines,
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
