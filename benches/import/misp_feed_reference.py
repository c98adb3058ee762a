"""A straightforward connector on the platform's own client: what the MISP Feed connector is held against.

Reads each event of a feed, makes what the Rust connector makes of the types, objects and tags that the benchmark's events
have, with stix2 and the client's own ids, and sends a bundle for each event with the client's own send_stix2_bundle.
Several things are easier than for the Rust connector: no other type is known, a value that comes twice keeps what was said
of it first, nothing is checked, nothing is compared with what was imported, and an event is one bundle of any size.
"""

import json
import os
from datetime import datetime, timezone

import requests
import stix2
from contestant import registered, run
from pycti import (
    AttackPattern,
    CustomObservableText,
    Identity,
    Indicator,
    IntrusionSet,
    Malware,
    Report,
    StixCoreRelationship,
)

TLP = {
    "tlp:white": stix2.TLP_WHITE,
    "tlp:green": stix2.TLP_GREEN,
    "tlp:amber": stix2.TLP_AMBER,
}
SCORE = 60
HASHES = {"md5": "MD5", "sha1": "SHA-1", "sha256": "SHA-256"}
PATHS = {"md5": "MD5", "sha1": "'SHA-1'", "sha256": "'SHA-256'"}
FILE_WORDS = {
    ("file", "drops", "file"),
    ("file", "communicates-with", "domain-name"),
}


class Feed:
    """The events of a feed."""

    def __init__(self):
        self.address = os.environ["MISP_FEED_URL"]
        self.session = requests.Session()

    def read(self, name):
        return self.session.get(f"{self.address}/{name}.json", timeout=60).json()

    def events(self):
        manifest = self.read("manifest")
        for uuid in sorted(manifest, key=lambda uuid: int(manifest[uuid]["timestamp"])):
            yield self.read(uuid)["Event"]


def escaped(text):
    return text.replace("\\", "\\\\").replace("'", "\\'")


def moment(timestamp):
    return datetime.fromtimestamp(int(timestamp), timezone.utc)


def cluster(tag):
    """The type of galaxy and the name of a tag that is one of a galaxy."""
    if not tag.startswith("misp-galaxy:"):
        return None, None
    kind, value = tag.removeprefix("misp-galaxy:").split("=", 1)
    return kind, value.strip('"')


def label(tag):
    if "=" in tag:
        return tag.split("=", 1)[1].strip('"')
    return tag.split(":", 1)[-1]


class Writer:
    """Writes the objects of one event."""

    def __init__(self, event, address):
        self.event, self.address = event, address
        name = event["Orgc"]["name"]
        self.author = stix2.Identity(
            id=Identity.generate_id(name, "organization"),
            name=name,
            identity_class="organization",
        )
        self.objects, self.located = {}, {}
        self.add(self.author)
        tags = [tag["name"] for tag in event["Tag"]]
        self.marking = next(TLP[tag] for tag in tags if tag in TLP)
        self.add(self.marking)
        self.labels = [label(tag) for tag in tags if tag not in TLP and cluster(tag)[0] is None]
        self.common = {
            "created_by_ref": self.author.id,
            "object_marking_refs": [self.marking.id],
        }
        self.threats = [self.threat(*cluster(tag)) for tag in tags if cluster(tag)[0]]
        users = [t for t in self.threats if t.type == "malware"] or [
            t for t in self.threats if t.type == "intrusion-set"
        ]
        for technique in (t for t in self.threats if t.type == "attack-pattern"):
            for user in users:
                self.relate("uses", user, technique)

    def add(self, item):
        return self.objects.setdefault(item["id"], item)

    def threat(self, kind, name):
        if kind == "threat-actor":
            threat = stix2.IntrusionSet(id=IntrusionSet.generate_id(name), name=name, **self.common)
        elif kind == "malpedia":
            threat = stix2.Malware(
                id=Malware.generate_id(name), name=name, is_family=True, **self.common
            )
        else:
            name, number = name.rsplit(" - ", 1)
            threat = stix2.AttackPattern(
                id=AttackPattern.generate_id(name, number),
                name=name,
                custom_properties={"x_mitre_id": number},
                **self.common,
            )
        return self.add(threat)

    def relate(self, kind, source, target, description=None):
        self.add(
            stix2.Relationship(
                id=StixCoreRelationship.generate_id(kind, source["id"], target["id"]),
                relationship_type=kind,
                source_ref=source["id"],
                target_ref=target["id"],
                description=description,
                **self.common,
            )
        )

    def tie(self, item, comment):
        """What an indicator indicates, or an observable has to do with, of the event's threats."""
        kind = "indicates" if item["type"] == "indicator" else "related-to"
        for threat in self.threats:
            self.relate(kind, item, threat, comment)

    def observable(self, kind, attribute, **properties):
        comment = attribute.get("comment") or None
        custom = {
            "x_opencti_score": SCORE,
            "x_opencti_description": comment,
            "x_opencti_labels": [label(tag["name"]) for tag in attribute.get("Tag", [])],
            "created_by_ref": self.author.id,
        }
        custom = {name: value for name, value in custom.items() if value}
        item = self.add(
            kind(object_marking_refs=[self.marking.id], custom_properties=custom, **properties)
        )
        self.tie(item, comment)
        return item

    def indicator(self, attribute, name, pattern, main_type, observable):
        comment = attribute.get("comment") or None
        date = moment(attribute["timestamp"])
        indicator = self.add(
            stix2.Indicator(
                id=Indicator.generate_id(pattern),
                name=name,
                description=comment,
                pattern=pattern,
                pattern_type="stix",
                created=date,
                modified=date,
                valid_from=date,
                labels=[label(tag["name"]) for tag in attribute.get("Tag", [])] or None,
                custom_properties={
                    "x_opencti_score": SCORE,
                    "x_opencti_detection": attribute["to_ids"],
                    "x_opencti_main_observable_type": main_type,
                },
                allow_custom=True,
                **self.common,
            )
        )
        self.relate("based-on", indicator, observable, comment)
        self.tie(indicator, comment)

    def value(self, attribute, kind, value, main_type):
        observable = self.observable(kind, attribute, value=value)
        pattern = f"[{observable.type}:value = '{escaped(value)}']"
        self.indicator(attribute, value, pattern, main_type, observable)
        return observable

    def file(self, attribute, names=(), hashes=None, size=None, observable=None):
        """The indicator of a file, and the file unless it is a part of another one."""
        hashes = hashes or {}
        if observable is None:
            observable = self.observable(
                stix2.File,
                attribute,
                name=names[0] if names else None,
                hashes={HASHES[kind]: value for kind, value in hashes.items()} or None,
                size=size,
            )
        terms = [f"file:name = '{escaped(name)}'" for name in names]
        terms += [f"file:hashes.{PATHS[kind]} = '{value}'" for kind, value in hashes.items()]
        pattern = "[" + " AND ".join(terms) + "]"
        self.indicator(attribute, attribute["value"], pattern, "StixFile", observable)
        return observable

    def attribute(self, attribute):
        """What an attribute becomes by itself: its first observable."""
        kind, value = attribute["type"], attribute["value"]
        if kind in HASHES:
            return self.file(attribute, hashes={kind: value})
        if kind == "filename":
            return self.file(attribute, names=[value])
        if kind == "filename|sha1":
            name, digits = value.rsplit("|", 1)
            return self.file(attribute, names=[name], hashes={"sha1": digits})
        if kind == "domain":
            return self.value(attribute, stix2.DomainName, value, "Domain-Name")
        if kind == "ip-dst":
            return self.value(attribute, stix2.IPv4Address, value, "IPv4-Addr")
        if kind == "domain|ip":
            name, address = value.split("|")
            name = self.value(attribute, stix2.DomainName, name, "Domain-Name")
            address = self.value(attribute, stix2.IPv4Address, address, "IPv4-Addr")
            self.relate("resolves-to", name, address)
            return name
        if kind == "url":
            return self.value(attribute, stix2.URL, value, "Url")
        if kind == "regkey|value":
            return self.registry_key(attribute, *value.split("|"))
        if kind == "text":
            return self.value(attribute, CustomObservableText, value, "Text")
        return None

    def registry_key(self, attribute, key, data):
        values = [stix2.WindowsRegistryValueType(data=data, data_type="REG_SZ")]
        observable = self.observable(stix2.WindowsRegistryKey, attribute, key=key, values=values)
        terms = [
            f"windows-registry-key:key = '{escaped(key)}'",
            f"windows-registry-key:values.data = '{escaped(data)}'",
        ]
        pattern = "[" + " AND ".join(terms) + "]"
        self.indicator(attribute, key, pattern, "Windows-Registry-Key", observable)
        return observable

    def object(self, item):
        members = item["Attribute"]
        if item["name"] == "file":
            main = self.file_object(members)
        else:
            signs = [m for m in members if m["to_ids"] or m["type"] != "text"]
            made = [self.attribute(member) for member in signs]
            if item["name"] == "domain-ip":
                self.relate("resolves-to", *made)
            main = made[0] if made else None
        if main is not None:
            self.located[item["uuid"]] = main

    def file_object(self, members):
        found = {member["type"]: member for member in members}
        names = [found["filename"]["value"]]
        hashes = {kind: found[kind]["value"] for kind in HASHES if kind in found}
        observable = self.observable(
            stix2.File,
            {"Tag": [tag for member in members for tag in member.get("Tag", [])]},
            name=names[0],
            hashes={HASHES[kind]: value for kind, value in hashes.items()},
            size=int(found["size-in-bytes"]["value"]),
        )
        if found["filename"]["to_ids"]:
            self.file(found["filename"], names=names, observable=observable)
        for kind, value in hashes.items():
            self.file(found[kind], hashes={kind: value}, observable=observable)
        return observable

    def reference(self, reference):
        ends = [self.located.get(reference[end]) for end in ("object_uuid", "referenced_uuid")]
        if None in ends:
            return
        source, target = ends
        word = reference["relationship_type"]
        kind = word if (source.type, word, target.type) in FILE_WORDS else "related-to"
        self.relate(kind, source, target, word)

    def report(self):
        event = self.event
        date = event["date"] + "T00:00:00.000Z"
        own = (self.author.id, self.marking.id)
        return stix2.Report(
            id=Report.generate_id(event["info"], date),
            name=event["info"],
            description=event["info"],
            published=date,
            created=date,
            modified=moment(event["timestamp"]),
            report_types=["misp-event"],
            labels=self.labels,
            external_references=[
                {
                    "source_name": "MISP",
                    "external_id": event["uuid"],
                    "url": f"{self.address}/{event['uuid']}.json",
                }
            ],
            object_refs=[id for id in self.objects if id not in own],
            custom_properties={"x_opencti_stix_ids": ["report--" + event["uuid"]]},
            allow_custom=True,
            **self.common,
        )


def main():
    helper = registered()
    work_id = helper.api.work.initiate_work(helper.connect_id, "reference")
    feed = Feed()
    for event in feed.events():
        writer = Writer(event, feed.address)
        for attribute in event["Attribute"]:
            writer.attribute(attribute)
        for item in event["Object"]:
            writer.object(item)
        for item in event["Object"]:
            for reference in item["ObjectReference"]:
                writer.reference(reference)
        writer.add(writer.report())
        bundle = stix2.Bundle(objects=list(writer.objects.values()), allow_custom=True)
        helper.send_stix2_bundle(bundle.serialize(), work_id=work_id)
    helper.api.work.to_processed(work_id, json.dumps("everything was sent"))


if __name__ == "__main__":
    run(main)
