"""What the straightforward connectors on the platform's own client have in common."""

import os
import traceback

from pycti import OpenCTIConnectorHelper


def registered():
    """The client's helper, registered at the platform that the environment names."""
    return OpenCTIConnectorHelper(
        {
            "opencti": {
                "url": os.environ["OPENCTI_URL"],
                "token": os.environ["OPENCTI_TOKEN"],
            },
            "connector": {
                "id": os.environ["CONNECTOR_ID"],
                "type": "EXTERNAL_IMPORT",
                "name": "reference",
                "scope": "reference",
                "log_level": "error",
            },
        }
    )


def run(main):
    """Runs a connector to its end; the threads of the client do not keep the process."""
    try:
        main()
    except Exception:  # The client would end the process without a word.
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
