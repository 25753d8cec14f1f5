"""Run by .venv-sam's Python: a SAM template as YAML in, the CloudFormation that SAM makes of it as JSON out.

Arguments are values of the template's parameters, as `Name=value`.
"""

import json
import sys
from types import SimpleNamespace

from samtranslator.translator.transform import transform  # type: ignore[import-not-found]
from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-not-found]

template = yaml_parse(sys.stdin.read())
for resource in template["Resources"].values():  # as `sam package` does, which uploads the folders that are named
    for name in {"CodeUri", "ContentUri"} & set(resource.get("Properties", {})):
        resource["Properties"][name] = "s3://code/function.zip"
parameters = dict(argument.split("=", 1) for argument in sys.argv[1:])
json.dump(transform(template, parameters, SimpleNamespace(load=dict)), sys.stdout)
