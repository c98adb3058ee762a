"""Counts what one release of the platform's Python client asks the platform for to import queue messages.

    python count_requests.py MESSAGES.jsonl [--client FOLDER] [--workers N ...]
                             [--settled OBJECTS.jsonl] [--cut]

Each line of MESSAGES.jsonl is {"body": <the message as a worker takes it>}, in the order in which
they are taken. The client is the one in FOLDER (pip install --target), else the one that is installed.
It is called as the worker of its release calls it, and speaks to the recorder of import_objects.py.

    --workers   how many workers take the messages in turn, each with a client of its own, whose caches
                live as long as it does; given several times, counts for each number (else for 1)
    --settled   JSON lines, each one STIX object that the platform has before the first message
    --cut       not the messages, but their objects as a connector on the client would send them: all in
                one bundle, cut by the client's own splitter into a message for each; labels are texts
                in the objects, and none is an object

The answer is one JSON object on stdout:

    client      the release of the client
    counts      for each number of workers {"workers": N, "messages": ..., "objects": ..., "imports": ...,
                "requests": {operation: number}, "errors": [...], "logged": [...]}: messages that were
                taken, objects in what was imported, what was reported to the work, and what was sent

What a worker asks without a message (is it alive, which queues are there) is not counted. Exit code 0
says that it ran, not that all is well.
"""

import argparse
import base64
import collections
import json
import logging
import re
import sys
import time

from import_objects import Log, Recorder, refuse_to_wait, stub_missing_modules

# From which release on the worker does what, as numbers of the release.
REPORTS_EACH_OBJECT = (6, 1, 5)
SPLITS = (6, 2, 14)
ANNOUNCES = (6, 3, 0)
HONOURS_NO_SPLIT = (6, 7, 0)
# Asks with each message whether the work is alive; after that, each request says for which work it is.
ASKS_FOR_WORK = (6, 8, 7)
NAMES_WORK = (6, 9, 19)

OPERATION = re.compile(r"\{\s*(?:\w+\s*:\s*)?(\w+)\s*(?:\([^)]*\))?\s*(?:\{\s*(\w+))?")
# Fields whose own fields say what is done.
EDITS = re.compile(r"\w+Edit$")


def operation_name(query):
    """What a request does: its field, for edits with the field in it."""
    field, inner = OPERATION.search(query).groups()
    return f"{field}.{inner}" if EDITS.match(field) and inner else field


class Tally(Recorder):
    """Counts requests by what they do."""

    def __init__(self):
        super().__init__()
        self.requests = collections.Counter()

    def post(self, url, json=None, data=None, files=None, **options):
        """What the client calls to send a request."""
        query = json["query"] if data is None else _query_of(data)
        self.requests[operation_name(query)] += 1
        return super().post(url, json=json, data=data, files=files, **options)

    def look_up(self, field, variables):
        """Every work is alive."""
        return True if field == "isWorkAlive" else super().look_up(field, variables)

    def mutate(self, field, variables):
        """A work that takes expectations is alive, too."""
        if field == "workEdit" and "expectations" in variables:
            return {"addExpectations": variables["id"]}
        return super().mutate(field, variables)


def _query_of(data):
    return json.loads(data["operations"])["query"]


class Worker:
    """Imports messages as the worker of one release."""

    def __init__(self, pycti, recorder):
        self.release = release_of(pycti.__version__)
        self.splitter = pycti.OpenCTIStix2Splitter
        self.client = pycti.OpenCTIApiClient(
            "http://127.0.0.1:1", "token", "error", perform_health_check=False
        )
        self.client.session = recorder
        recorder.client = self.client

    def take(self, body):
        """Handles one message; answers how many objects it imported."""
        text = base64.b64decode(body["content"]).decode("utf-8")
        bundle = json.loads(text)
        work = body.get("work_id")
        if work is not None and ASKS_FOR_WORK <= self.release < NAMES_WORK:
            self.client.work.get_is_work_alive(work)
        is_whole = len(bundle["objects"]) == 1 or self.release < SPLITS
        if self.release >= HONOURS_NO_SPLIT and body.get("no_split"):
            is_whole = True
        if not is_whole:
            # Its parts come as messages of their own.
            if work is not None and self.release >= ANNOUNCES:
                self.client.work.add_expectations(work, self.expected(bundle))
            return 0
        self.import_bundle(text, body, work)
        return len(bundle["objects"])

    def expected(self, bundle):
        """How many reports the splitter announces."""
        return self.splitter().split_bundle_with_expectations(bundle, False, None)[0]

    def import_bundle(self, text, body, work):
        """What the worker does with a message that it does not split."""
        kinds = body.get("entities_types") or None
        update = body.get("update", False)
        if self.release < REPORTS_EACH_OBJECT:
            self.client.stix2.import_bundle_from_json(text, update, kinds, 1)
            if work is not None:
                self.client.work.report_expectation(work, None)
        else:
            self.client.stix2.import_bundle_from_json(text, update, kinds, work)


def release_of(version):
    """The numbers of a release."""
    return tuple(int(number) for number in version.split("-")[0].split("."))


def read_lines(path):
    """The JSON values of a file's lines."""
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def settle(pycti, recorder, objects):
    """Puts objects into the platform; nobody counts that."""
    if objects:
        worker = Worker(pycti, recorder)
        worker.import_bundle(bundle_of(objects), {}, None)
    recorder.requests.clear()
    recorder.errors.clear()


def cut(pycti, bodies):
    """The messages' objects, each once, as a connector on the client would send them."""
    objects = {}
    for body in bodies:
        for item in json.loads(base64.b64decode(body["content"]))["objects"]:
            if item["type"] != "label":
                objects[item["id"]] = merged(objects.get(item["id"]), with_plain_labels(item))
    contents = (base64.b64encode(part.encode()).decode() for part in split(pycti, objects))
    return [{**bodies[0], "content": content, "no_split": False} for content in contents]


def split(pycti, objects):
    """The bundles that the client's own splitter makes of these objects, by id."""
    text = bundle_of(list(objects.values()))
    splitter = pycti.OpenCTIStix2Splitter()
    try:
        if hasattr(splitter, "split_bundle_with_expectations"):
            return splitter.split_bundle_with_expectations(text, True, None)[-1]
        return splitter.split_bundle(text, True, None)
    except RecursionError:
        # Old splitters do not get out of a circle of references.
        return [bundle_of([item]) for item in objects.values()]


def bundle_of(objects):
    """The text of a bundle."""
    return json.dumps({"type": "bundle", "id": "bundle--0", "objects": objects})


def with_plain_labels(item):
    """The object with its labels as texts."""
    tags = item.pop("x_opencti_tags", None)
    if tags:
        item["labels"] = [tag["value"] for tag in tags]
    return item


def merged(known, item):
    """One object of what came of it in several messages: what a later one leaves out, stays."""
    for key, value in (known or {}).items():
        if key.endswith("_refs"):
            item[key] = value + [target for target in item.get(key, []) if target not in value]
        else:
            item.setdefault(key, value)
    return item


def count(pycti, bodies, settled, number, log):
    """What so many workers send for the messages."""
    recorder = Tally()
    settle(pycti, recorder, json.loads(json.dumps(settled)))
    workers = [Worker(pycti, recorder) for _ in range(number)]
    log.lines.clear()
    objects = sum(workers[turn % number].take(body) for turn, body in enumerate(bodies))
    return {
        "workers": number,
        "messages": len(bodies),
        "objects": objects,
        "imports": recorder.requests["workEdit.reportExpectation"],
        "requests": dict(recorder.requests.most_common()),
        "errors": recorder.errors,
        "logged": list(log.lines),
    }


def main():
    """Reads the files named on the command line and prints the answer."""
    parser = argparse.ArgumentParser(description="Counts the requests that an import takes.")
    parser.add_argument("messages", help='JSON lines, each {"body": <message>}')
    parser.add_argument("--client", help="the folder that has the release of the client")
    parser.add_argument("--workers", type=int, action="append", help="number of workers")
    parser.add_argument("--settled", help="JSON lines, each an object that is there before")
    parser.add_argument("--cut", action="store_true", help="cut by the client's own splitter")
    arguments = parser.parse_args()
    if arguments.client:
        sys.path.insert(0, arguments.client)
    stub_missing_modules()
    import pycti  # pylint: disable=import-outside-toplevel

    time.sleep = refuse_to_wait
    log = Log()
    logging.getLogger().addHandler(log)
    bodies = [line["body"] for line in read_lines(arguments.messages)]
    if arguments.cut:
        bodies = cut(pycti, bodies)
    settled = read_lines(arguments.settled) if arguments.settled else []
    counts = [count(pycti, bodies, settled, number, log) for number in arguments.workers or [1]]
    print(json.dumps({"client": pycti.__version__, "counts": counts}))


if __name__ == "__main__":
    main()
