#!/usr/bin/env bash
# Names the address of the manual (docs/planetscale.md), which Airbyte links to from the settings page, in the specification and in
# metadata.yaml: image/manual.sh URL. Before it, there is none: a checkout does not know where it is published.
set -euo pipefail
cd "${ROOT:-$(dirname "$0")/..}"
case $1 in
  https://*[\"\'\\\|\&\ ]*) echo "manual: the URL must not have quotes, backslashes, |, & or spaces" >&2; exit 1 ;;
  https://?*) ;;
  *) echo "manual: usage: image/manual.sh https://…/docs/planetscale.md" >&2; exit 1 ;;
esac
sed -i -E "s|^(  \"documentationUrl\": ).*|\1\"$1\",|" internal/config/spec.json
sed -i -E "s|^(  documentationUrl: ).*|\1$1|" metadata.yaml
