"""A straightforward connector on the platform's own client: what the Rust connector is held against.

Reads observables, indicators and based-on relationships page by page, 1000 at a time, with the client's
query and the operations of the Rust connector, and for each page its references. Writes each row as a
STIX object with its markings, author, labels and references, and sends bundles of 100 with the client's
own send_stix2_bundle. One thing is easier than for the Rust connector: what references lead to on other
pages does not come along. With READ_ONLY it only reads, which lets the source prepare its answers.
"""

import json
import os
from pathlib import Path

from contestant import registered, run
from pycti import OpenCTIApiClient

OPERATIONS = Path(__file__).parents[2] / "src/connectors/netmanageit/operations"
PAGE = 1000
BATCH = 100
IDS_A_FILTER = 250
NESTED = """
contains obs_resolves-to obs_belongs-to to cc bcc body-multipart encapsulates opened-connection child
service-dll values from sender raw-email body-raw parent-directory obs_content src-payload dst-payload
encapsulated-by creator-user image parent src dst
""".split()
# The relations that lead to one object.
SINGLE = set(NESTED[NESTED.index("from") :])
# What an observable may have beside what every object has, as the client names it.
OWN_FIELDS = """
value name path path_enc size mime_type payload_bin url encryption_algorithm decryption_key
account_type account_login display_name user_id credential is_service_account is_privileged
subject issuer serial_number version signature_algorithm rir number body is_multipart message_id
content_type received_lines extension_map dst_port src_port protocols pid command_line cwd
attribute_key attribute_last_modified_time number_of_subkeys swid cpe languages vendor data
""".split()


def pages(source, field, operation, **variables):
    query = (OPERATIONS / operation).read_text()
    after = None
    while True:
        variables.update(first=PAGE, after=after)
        answer = source.query(query, variables)["data"][field]
        yield [edge["node"] for edge in answer["edges"]]
        if not answer["pageInfo"]["hasNextPage"]:
            return
        after = answer["pageInfo"]["endCursor"]


def reference_rows(source, ids, relations):
    query = (OPERATIONS / "references.graphql").read_text()
    for start in range(0, len(ids), IDS_A_FILTER):
        of_these = {
            "key": ["fromId"],
            "values": ids[start : start + IDS_A_FILTER],
            "operator": "eq",
            "mode": "or",
        }
        variables = {
            "first": PAGE,
            "after": None,
            "relationshipTypes": relations,
            "withFiles": False,
            "filters": {"mode": "and", "filters": [of_these], "filterGroups": []},
        }
        while True:
            answer = source.query(query, variables)["data"]["stixRefRelationships"]
            yield from (edge["node"] for edge in answer["edges"])
            if not answer["pageInfo"]["hasNextPage"]:
                break
            variables["after"] = answer["pageInfo"]["endCursor"]


def references(source, rows, relations):
    """What the rows of a page refer to, as fields of STIX objects, by the id of the object."""
    of_page = {}
    for row in reference_rows(source, [row["id"] for row in rows], relations):
        fields, target = of_page.setdefault(row["from"]["standard_id"], {}), row["to"]
        relation = row["relationship_type"]
        if relation == "external-reference":
            names = ("source_name", "description", "url", "external_id")
            reference = {name: target[name] for name in names if target.get(name)}
            fields.setdefault("external_references", []).append(reference)
            continue
        name = relation.removeprefix("obs_").replace("-", "_")
        if relation in SINGLE:
            fields[name + "_ref"] = target["standard_id"]
        else:
            fields.setdefault(name + "_refs", []).append(target["standard_id"])
    return of_page


def surroundings(row):
    """Author and markings as objects, and what the row says of them."""
    objects, fields = [], {}
    author = row.get("createdBy")
    if author:
        objects.append(
            {
                "type": "identity",
                "spec_version": "2.1",
                "id": author["standard_id"],
                "name": author["name"],
                "identity_class": author.get("identity_class") or "organization",
            }
        )
        fields["created_by_ref"] = author["standard_id"]
    for marking in row.get("objectMarking") or []:
        objects.append(
            {
                "type": "marking-definition",
                "spec_version": "2.1",
                "id": marking["standard_id"],
                "definition_type": "statement",
                "definition": {"statement": marking["definition"]},
                "x_opencti_definition_type": marking["definition_type"],
                "x_opencti_definition": marking["definition"],
                "x_opencti_color": marking["x_opencti_color"],
                "x_opencti_order": marking["x_opencti_order"],
            }
        )
        fields.setdefault("object_marking_refs", []).append(marking["standard_id"])
    labels = [label["value"] for label in row.get("objectLabel") or []]
    if labels:
        fields["labels"] = labels
    return objects, fields


def common(row):
    return {
        "type": row["standard_id"].split("--")[0],
        "spec_version": "2.1",
        "id": row["standard_id"],
        "x_opencti_id": row["id"],
    }


def observable(row):
    stix = common(row)
    for name in OWN_FIELDS:
        if row.get(name) is not None:
            stix[name] = row[name]
    if row.get("hashes"):
        stix["hashes"] = {item["algorithm"]: item["hash"] for item in row["hashes"]}
    stix["x_opencti_score"] = row.get("x_opencti_score")
    stix["x_opencti_description"] = row.get("x_opencti_description")
    return stix


def indicator(row):
    stix = common(row)
    for name in (
        "created modified revoked confidence lang name description pattern pattern_type "
        "pattern_version valid_from valid_until indicator_types x_opencti_score "
        "x_opencti_detection x_opencti_main_observable_type x_mitre_platforms"
    ).split():
        if row.get(name) is not None:
            stix[name] = row[name]
    return stix


def relationship(row):
    stix = common(row)
    stix["type"] = "relationship"
    stix["relationship_type"] = row["relationship_type"]
    stix["source_ref"] = row["from"]["standard_id"]
    stix["target_ref"] = row["to"]["standard_id"]
    for name in "created modified revoked confidence description".split():
        if row.get(name) is not None:
            stix[name] = row[name]
    return stix


class Sender:
    """Collects objects and sends them in bundles, each object with what it needs."""

    def __init__(self, helper, work_id):
        self.helper, self.work_id = helper, work_id
        self.rows, self.objects = 0, {}

    def add(self, needed, stix):
        for item in [*needed, stix]:
            self.objects.setdefault(item["id"], item)
        self.rows += 1
        if self.rows == BATCH:
            self.send()

    def send(self):
        if self.objects:
            bundle = self.helper.stix2_create_bundle(list(self.objects.values()))
            self.helper.send_stix2_bundle(bundle, work_id=self.work_id)
        self.rows, self.objects = 0, {}


def streams(source):
    """How the rows of each stream are written, its pages, and the relations of their references."""
    plain = {"withCreators": False, "withFiles": False}
    yield (
        observable,
        pages(source, "stixCyberObservables", "observables.graphql", **plain),
        ["external-reference", *NESTED],
    )
    yield (
        indicator,
        pages(source, "indicators", "indicators.graphql", **plain),
        ["external-reference"],
    )
    based_on = {"relationshipTypes": ["based-on"], "fromTypes": ["Indicator"]}
    yield (
        relationship,
        pages(source, "stixCoreRelationships", "relationships.graphql", **based_on),
        [],
    )


def rows_with_references(source):
    for convert, rows_of_pages, relations in streams(source):
        for rows in rows_of_pages:
            yield convert, rows, references(source, rows, relations) if relations else {}


def main():
    source = OpenCTIApiClient(
        os.environ["OPENCTI_NETMANAGEIT_URL"],
        os.environ["OPENCTI_NETMANAGEIT_TOKEN"],
        log_level="error",
        perform_health_check=False,
    )
    if os.environ.get("READ_ONLY"):
        for _ in rows_with_references(source):
            pass
        return
    helper = registered()
    work_id = helper.api.work.initiate_work(helper.connect_id, "reference")
    sender = Sender(helper, work_id)
    for convert, rows, of_page in rows_with_references(source):
        for row in rows:
            needed, fields = surroundings(row)
            fields.update(of_page.get(row["standard_id"], {}))
            sender.add(needed, {**convert(row), **fields})
    sender.send()
    helper.api.work.to_processed(work_id, json.dumps("everything was sent"))


if __name__ == "__main__":
    run(main)
