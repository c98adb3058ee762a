"""A server of S3 for tests (moto), in which one user may do everything but remove what is called "retained", and nobody else
anything.

It writes one line of JSON, with its address and the keys of the user, when it takes requests: from then on each has to be
signed. Every line that it reads is a command, answered by one line: to put objects into a bucket, or to list it. It ends
with its input, and so with the test that started it.
"""

import json
import logging
import os
import sys

# Nothing is to be read from the machine that this runs on.
os.environ.update(AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="x", AWS_CONFIG_FILE=os.devnull)

import boto3
from moto import settings
from moto.core import DEFAULT_ACCOUNT_ID
from moto.moto_server.threaded_moto_server import ThreadedMotoServer
from moto.s3.models import s3_backends

USER = "reader"
REGION = "us-east-1"
# What is named so may not be removed, as under a retention.
RETAINED = "arn:aws:s3:::*retained*"
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "s3:DeleteObject", "Resource": RETAINED},
    ],
}


def say(answer):
    print(json.dumps(answer), flush=True)


def make_user(endpoint):
    iam = boto3.client("iam", endpoint_url=endpoint, region_name=REGION)
    iam.create_user(UserName=USER)
    iam.put_user_policy(UserName=USER, PolicyName="all", PolicyDocument=json.dumps(POLICY))
    return iam.create_access_key(UserName=USER)["AccessKey"]


def put(bucket, objects):
    backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    if bucket not in backend.buckets:
        backend.create_bucket(bucket, REGION)
    for key, body in objects.items():
        backend.put_object(bucket, key, body.encode())


def keys(bucket):
    return sorted(s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[bucket].keys)


def main():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    key = make_user(endpoint)
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
    say({"endpoint": endpoint, "id": key["AccessKeyId"], "secret": key["SecretAccessKey"]})
    for line in sys.stdin:
        command = json.loads(line)
        bucket = command["bucket"]
        if "put" in command:
            put(bucket, command["put"])
        say(keys(bucket))
    server.stop()


if __name__ == "__main__":
    main()
