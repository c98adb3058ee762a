"""Reads queue messages as the platform's worker does, and says what it found.

    python read_messages.py MESSAGES.jsonl [--order] [--objects]

Each line of the file is {"body": <the message as it was published>}. The answer is one JSON object
on stdout:

    messages            number of messages
    objects             number of objects in all bundles, repetitions counted
    distinct_ids        number of different ids among them
    by_type             {type: number of objects}
    expectations        sum of what pycti's splitter says the worker will report
    incompatible        ids that the splitter would not import
    message_errors      [{"message": index, "errors": [...]}]: envelope or bundle not readable
    validator_errors    [{"id": ..., "errors": [...]}]: what STIX 2.1 forbids
    tolerated           {reason: number of objects}: forbidden, but forced by the platform's model
    not_validated       {type: number}: no STIX type; only the rules common to all were checked
    ids_in_order_per_message, splitter_order_per_message     with --order
    objects_by_id       {id: object}, the last one of that id, with --objects

Exit code 0 says that it ran, not that all is well. It needs no network and no platform.
"""

import argparse
import base64
import binascii
import collections
import json
import logging
import sys

from pycti.utils.opencti_stix2_splitter import OpenCTIStix2Splitter
from stix2validator import ValidationOptions, validate_instance
from stix2validator.v21 import enums

# The keys that some release of the worker reads (or pycti writes), with the types they may have.
OPTIONAL_TEXT = (str, type(None))
MESSAGE_KEYS = {
    "type": (str,),
    "content": (str,),
    "applicant_id": (str,),
    "update": (bool,),
    "entities_types": (list,),
    "work_id": OPTIONAL_TEXT,
    "synchronized": (bool,),
    "previous_standard": OPTIONAL_TEXT,
    "event_id": OPTIONAL_TEXT,
    "playbook_id": OPTIONAL_TEXT,
    "draft_id": OPTIONAL_TEXT,
    "no_split": (bool,),
    "action_sequence": (int,),
    "bundle_type": (str,),
}
# Without these the message is lost: releases before 6.2 fail on a missing applicant.
REQUIRED_KEYS = ("type", "content", "applicant_id", "update")

STIX_TYPES = frozenset(enums.TYPES) | frozenset(enums.OBSERVABLE_TYPES)

Departure = collections.namedtuple("Departure", "type text applies reason")


def always(_):
    return True


# What STIX forbids and the platform's own data model asks for. All else stays an error.
DEPARTURES = (
    Departure("process", "must use UUIDv4", always, "id is computed from the content"),
    Departure(None, "a UUIDv4 must be used", always, "id is computed from the content"),
    Departure(
        "process",
        "is not of type 'object'",
        lambda item: isinstance(item.get("environment_variables"), list),
        "environment variables are a list",
    ),
    Departure(
        "artifact",
        "'hashes', which must be present",
        lambda item: "hashes" not in item,
        "artifact without content",
    ),
    Departure(
        "artifact",
        "must contain either 'payload_bin' or 'url'",
        lambda item: "payload_bin" not in item and "url" not in item,
        "artifact without content",
    ),
    Departure(
        "email-message",
        "is_multipart",
        lambda item: "is_multipart" not in item or "body" in item,
        "multipart flag is free",
    ),
    Departure("network-traffic", "at least one of 'src_ref'", always, "traffic without ends"),
    Departure("incident", "reserved property", lambda item: "severity" in item, "severity"),
    Departure("case-incident", "reserved property", lambda item: "severity" in item, "severity"),
    Departure("ssh-key", "'modified' is a required", always, "key has a creation date of its own"),
)


class Unreadable(Exception):
    """The worker could not make a bundle of this message."""


def message_key_errors(body):
    """What is wrong with the keys of one message."""
    errors = [f"missing key {key}" for key in REQUIRED_KEYS if key not in body]
    for key, value in body.items():
        if key not in MESSAGE_KEYS:
            errors.append(f"unknown key {key}")
        elif not isinstance(value, MESSAGE_KEYS[key]):
            errors.append(f"key {key} has the wrong type: {type(value).__name__}")
    return errors


def decode_bundle(body):
    """The bundle's JSON text, as the worker decodes it, and the bundle."""
    if body.get("type") != "bundle":
        raise Unreadable(f"type is {body.get('type')!r}, not 'bundle'")
    try:
        text = base64.b64decode(body["content"], validate=True).decode("utf-8")
        bundle = json.loads(text)
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise Unreadable(f"content is not base64 of JSON in UTF-8: {error!r}") from error
    if not isinstance(bundle, dict) or bundle.get("type") != "bundle" or not bundle.get("objects"):
        raise Unreadable("content is not a STIX bundle with objects")
    return text, bundle


def split(text):
    """pycti's own answer: number of expectations, incompatible ids, ids in order of import."""
    expectations, incompatible, bundles = OpenCTIStix2Splitter().split_bundle_with_expectations(
        text, True, None
    )
    order = [item["id"] for bundle in bundles for item in json.loads(bundle)["objects"]]
    return expectations, [item["id"] for item in incompatible], order


def stix_errors(item):
    """What the validator forbids; its recommendations ("should") are not asked for."""
    options = ValidationOptions(version="2.1", silent=True, disabled="all")
    prefix = f"{item.get('id')}: "
    try:
        result = validate_instance(item, options)
    except Exception as error:  # pylint: disable=broad-except
        # Some checks stumble over a value of the wrong kind, such as a null time.
        return [f"the validator stumbled: {error!r}"]
    return [str(error).removeprefix(prefix) for error in result.errors]


def departure_reason(item, error):
    """Why an error is forced by the platform's model, or None."""
    for departure in DEPARTURES:
        same_type = departure.type in (None, item["type"])
        if same_type and departure.text in error and departure.applies(item):
            return departure.reason
    return None


class Report:
    """What was found, over all messages."""

    def __init__(self):
        self.messages = 0
        self.expectations = 0
        self.incompatible = []
        self.message_errors = []
        self.validator_errors = []
        self.by_type = collections.Counter()
        self.tolerated = collections.Counter()
        self.not_validated = collections.Counter()
        self.orders = []
        self.splitter_orders = []
        self.objects_by_id = {}
        self.validated = set()

    def read_message(self, line):
        """Takes one line of the file into the report."""
        index = self.messages
        self.messages += 1
        errors, order, splitter_order = [], [], []
        try:
            body = json.loads(line)["body"]
            errors = message_key_errors(body)
            text, bundle = decode_bundle(body)
            order = [item["id"] for item in bundle["objects"]]
            splitter_order = self.read_bundle(text, bundle)
        except Exception as error:  # pylint: disable=broad-except
            # A message that no worker could read is a finding, not the end of the reading.
            errors.append(str(error) if isinstance(error, Unreadable) else repr(error))
        if errors:
            self.message_errors.append({"message": index, "errors": errors})
        self.orders.append(order)
        self.splitter_orders.append(splitter_order)

    def read_bundle(self, text, bundle):
        """Counts, splits and validates one bundle; returns pycti's order of import."""
        self.validate({key: value for key, value in bundle.items() if key != "objects"})
        for item in bundle["objects"]:
            self.by_type[item["type"]] += 1
            if item["type"] not in STIX_TYPES:
                self.not_validated[item["type"]] += 1
            self.objects_by_id[item["id"]] = item
            self.validate(item)
        expectations, incompatible, order = split(text)
        self.expectations += expectations
        self.incompatible += incompatible
        return order

    def validate(self, item):
        """Validates one object, once however often it is repeated word for word."""
        key = json.dumps(item, sort_keys=True)
        if key in self.validated:
            return
        self.validated.add(key)
        remaining = []
        for error in stix_errors(item):
            reason = departure_reason(item, error)
            if reason is None:
                remaining.append(error)
            else:
                self.tolerated[reason] += 1
        if remaining:
            self.validator_errors.append({"id": item.get("id"), "errors": remaining})

    def answer(self, with_order, with_objects):
        """The answer as the caller wants it."""
        answer = {
            "messages": self.messages,
            "objects": sum(self.by_type.values()),
            "distinct_ids": len(self.objects_by_id),
            "by_type": self.by_type,
            "expectations": self.expectations,
            "incompatible": self.incompatible,
            "message_errors": self.message_errors,
            "validator_errors": self.validator_errors,
            "tolerated": self.tolerated,
            "not_validated": self.not_validated,
        }
        if with_order:
            answer["ids_in_order_per_message"] = self.orders
            answer["splitter_order_per_message"] = self.splitter_orders
        if with_objects:
            answer["objects_by_id"] = self.objects_by_id
        return answer


def main():
    """Reads the file named on the command line and prints the answer."""
    parser = argparse.ArgumentParser(description="Reads queue messages as the worker does.")
    parser.add_argument("messages", help='JSON lines, each {"body": <message>}')
    parser.add_argument("--order", action="store_true", help="add the orders of the ids")
    parser.add_argument("--objects", action="store_true", help="add all objects by id")
    arguments = parser.parse_args()
    # The validator warns about language codes through the log; stdout belongs to the answer.
    logging.disable(logging.CRITICAL)
    report = Report()
    with open(arguments.messages, encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                report.read_message(line)
    # The validator's import wraps sys.stdout to filter terminal colours: not for this answer.
    answer = json.dumps(report.answer(arguments.order, arguments.objects))
    print(answer, file=sys.__stdout__)


if __name__ == "__main__":
    main()
