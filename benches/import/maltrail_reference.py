"""A straightforward connector on the platform's own client: what the Maltrail connector is held against.

Reads the last LISTS lists of the newest commit one by one, makes an observable, an indicator, their relationship and that
to the malware of each line with stix2 and the client's own ids, and sends a bundle for each list with the client's own
send_stix2_bundle. Several things are easier than for the Rust connector: a value of several lists is not merged, nothing
is left out, no reference but the last one counts, and nothing is compared with what was imported.
"""

import ipaddress
import json
import os
from datetime import datetime, timezone

import requests
import stix2
from contestant import registered, run
from pycti import (
    Identity,
    Indicator,
    Malware,
    StixCoreRelationship,
)

REPOSITORY = "stamparm/maltrail"
FOLDER = "trails/static/"
AGENT = {"User-Agent": "reference"}


class Lists:
    """The lists of the newest commit."""

    def __init__(self):
        self.api = os.environ["MALTRAIL_API_BASE_URL"] + "/repos/" + REPOSITORY
        self.raw = os.environ["MALTRAIL_RAW_BASE_URL"] + "/" + REPOSITORY
        self.session = requests.Session()
        accept = {**AGENT, "Accept": "application/vnd.github.sha"}
        self.commit = self.session.get(self.api + "/commits/HEAD", headers=accept, timeout=60).text

    def paths(self):
        tree = self.session.get(
            f"{self.api}/git/trees/{self.commit}?recursive=1", headers=AGENT, timeout=600
        )
        paths = [entry["path"] for entry in tree.json()["tree"] if entry["type"] == "blob"]
        paths = [path for path in paths if path.startswith(FOLDER) and path.endswith(".txt")]
        # The smallest come last by their numbers.
        paths.sort(key=lambda path: int("".join(c for c in path if c.isdigit())))
        return paths[-int(os.environ["LISTS"]) :]

    def lines(self, path):
        address = f"{self.raw}/{self.commit}/{path}"
        return self.session.get(address, headers=AGENT, timeout=60).text.splitlines()


def is_address(text):
    try:
        ipaddress.ip_address(text)
        return True
    except ValueError:
        return False


def observable(trail, common):
    """The observable of a trail and what the platform calls it; none for a path."""
    if trail.startswith("/"):
        return None, "Url"
    rest = trail.removeprefix("http://")
    host = rest.split("/")[0]
    address = host.split(":")[0]
    if "/" in rest.rstrip("/"):
        return stix2.URL(value="http://" + rest, custom_properties=common), "Url"
    if is_address(address):
        return stix2.IPv4Address(value=address, custom_properties=common), "IPv4-Addr"
    return stix2.DomainName(value=address, custom_properties=common), "Domain-Name"


def escaped(text):
    return text.replace("\\", "\\\\").replace("'", "\\'")


class Writer:
    """Writes the objects of one list."""

    def __init__(self, author, path, date):
        self.author, self.date = author, date
        name = path.rsplit("/", 1)[1].removesuffix(".txt")
        self.labels = [path.removeprefix(FOLDER).split("/")[0], name]
        self.malware = stix2.Malware(
            id=Malware.generate_id(name),
            name=name,
            is_family=True,
            created_by_ref=author.id,
            object_marking_refs=[stix2.TLP_WHITE.id],
        )
        self.objects = {
            item["id"]: item for item in (author, stix2.TLP_WHITE, self.malware)
        }
        self.reference = None

    def add(self, item):
        self.objects.setdefault(item["id"], item)

    def relate(self, kind, source, target):
        self.add(
            stix2.Relationship(
                id=StixCoreRelationship.generate_id(kind, source, target),
                relationship_type=kind,
                source_ref=source,
                target_ref=target,
                created_by_ref=self.author.id,
                object_marking_refs=[stix2.TLP_WHITE.id],
            )
        )

    def trail(self, trail):
        common = {
            "x_opencti_score": 75,
            "x_opencti_labels": self.labels,
            "created_by_ref": self.author.id,
            "object_marking_refs": [stix2.TLP_WHITE.id],
        }
        found, kind = observable(trail, common)
        if found is None:
            name, pattern = trail, f"[url:value LIKE '%{escaped(trail)}%']"
        else:
            name, pattern = found.value, f"[{found.type}:value = '{escaped(found.value)}']"
        indicator = stix2.Indicator(
            id=Indicator.generate_id(pattern),
            name=name,
            pattern=pattern,
            pattern_type="stix",
            valid_from=self.date,
            labels=self.labels,
            created_by_ref=self.author.id,
            object_marking_refs=[stix2.TLP_WHITE.id],
            external_references=[self.reference] if self.reference else [],
            custom_properties={"x_opencti_score": 75, "x_opencti_main_observable_type": kind},
            allow_custom=True,
        )
        self.add(indicator)
        if found is not None:
            self.add(found)
            self.relate("based-on", indicator.id, found["id"])
        self.relate("indicates", indicator.id, self.malware.id)

    def line(self, line):
        if line.startswith("# Reference: "):
            address = line.removeprefix("# Reference: ").split(" ")[0]
            self.reference = stix2.ExternalReference(
                source_name=address.split("/")[2], url=address
            )
        elif line and not line.startswith("#"):
            self.trail(line.strip())


def main():
    helper = registered()
    work_id = helper.api.work.initiate_work(helper.connect_id, "reference")
    author = stix2.Identity(
        id=Identity.generate_id("Maltrail", "organization"),
        name="Maltrail",
        identity_class="organization",
    )
    lists = Lists()
    date = datetime.now(timezone.utc)
    for path in lists.paths():
        writer = Writer(author, path, date)
        for line in lists.lines(path):
            writer.line(line)
        bundle = stix2.Bundle(objects=list(writer.objects.values()), allow_custom=True)
        helper.send_stix2_bundle(bundle.serialize(), work_id=work_id)
    helper.api.work.to_processed(work_id, json.dumps("everything was sent"))


if __name__ == "__main__":
    run(main)
