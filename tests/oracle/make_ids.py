"""Makes ids of objects with the platform's own client, for comparison with ours.

    python make_ids.py OBJECTS.jsonl

Each line of the file is {"body": {"maker": NAME, "arguments": {...}}}. The answer is {"ids": [...]} on stdout, in the
order of the lines. Observables are made by the classes of stix2 and pycti, all else by pycti's generate_id.
"""

import argparse
import json
import logging
import sys

import pycti
import stix2

# Observables that are one value: the class, and the property that holds the value.
VALUES = {
    "ipv4-addr": (stix2.IPv4Address, "value"),
    "ipv6-addr": (stix2.IPv6Address, "value"),
    "mac-addr": (stix2.MACAddress, "value"),
    "domain-name": (stix2.DomainName, "value"),
    "url": (stix2.URL, "value"),
    "email-addr": (stix2.EmailAddress, "value"),
    "mutex": (stix2.Mutex, "name"),
    "directory": (stix2.Directory, "path"),
    "hostname": (pycti.CustomObservableHostname, "value"),
    "text": (pycti.CustomObservableText, "value"),
    "user-agent": (pycti.CustomObservableUserAgent, "value"),
    "cryptocurrency-wallet": (pycti.CustomObservableCryptocurrencyWallet, "value"),
    "cryptographic-key": (pycti.CustomObservableCryptographicKey, "value"),
    "phone-number": (pycti.CustomObservablePhoneNumber, "value"),
    "credential": (pycti.CustomObservableCredential, "value"),
    "tracking-number": (pycti.CustomObservableTrackingNumber, "value"),
    "ai-prompt": (pycti.CustomObservableAIPrompt, "value"),
    "imei": (pycti.CustomObservableIMEI, "value"),
    "iccid": (pycti.CustomObservableICCID, "value"),
    "imsi": (pycti.CustomObservableIMSI, "value"),
    "bank-account": (pycti.CustomObservableBankAccount, "iban"),
    "payment-card": (pycti.CustomObservablePaymentCard, "card_number"),
    "media-content": (pycti.CustomObservableMediaContent, "url"),
}

# Other observables, made of their properties.
CLASSES = {
    "file": stix2.File,
    "artifact": stix2.Artifact,
    "x509-certificate": stix2.X509Certificate,
    "autonomous-system": stix2.AutonomousSystem,
    "user-account": stix2.UserAccount,
    "software": stix2.Software,
    "email-message": stix2.EmailMessage,
    "network-traffic": stix2.NetworkTraffic,
    "persona": pycti.CustomObservablePersona,
}

GENERATORS = {
    "identity": pycti.Identity,
    "malware": pycti.Malware,
    "intrusion-set": pycti.IntrusionSet,
    "tool": pycti.Tool,
    "campaign": pycti.Campaign,
    "vulnerability": pycti.Vulnerability,
    "attack-pattern": pycti.AttackPattern,
    "course-of-action": pycti.CourseOfAction,
    "location": pycti.Location,
    "indicator": pycti.Indicator,
    "report": pycti.Report,
    "note": pycti.Note,
    "incident": pycti.Incident,
    "case-incident": pycti.CaseIncident,
    "label": pycti.Label,
    "marking-definition": pycti.MarkingDefinition,
    "relationship": pycti.StixCoreRelationship,
    "sighting": pycti.StixSightingRelationship,
}


def make(maker, arguments):
    """The id by the client."""
    if maker in VALUES:
        kind, name = VALUES[maker]
        properties = {name: arguments["value"]}
        if maker in ("bank-account", "payment-card"):
            # The class wants it; it is no part of the id.
            properties["value"] = arguments["value"]
        return kind(**properties)["id"]
    if maker in CLASSES:
        return CLASSES[maker](**arguments)["id"]
    return GENERATORS[maker].generate_id(**arguments)


def main():
    """Reads the file named on the command line and prints the answer."""
    parser = argparse.ArgumentParser(description="Makes ids with the platform's client.")
    parser.add_argument("objects", help='JSON lines, each {"body": {"maker", "arguments"}}')
    path = parser.parse_args().objects
    logging.disable(logging.CRITICAL)
    with open(path, encoding="utf-8") as lines:
        bodies = [json.loads(line)["body"] for line in lines]
    ids = [make(body["maker"], body["arguments"]) for body in bodies]
    print(json.dumps({"ids": ids}), file=sys.__stdout__)


if __name__ == "__main__":
    main()
