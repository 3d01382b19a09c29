#!/usr/bin/env bash
# expire.sh BUCKET DAYS: objects of BUCKET are deleted DAYS after they were written, and uploads that broke off after a
# week. It replaces the bucket's lifecycle.
set -euo pipefail
if [ $# != 2 ] || [ "$2" -le 0 ]; then sed -n '2,3s/^# //p' "$0" >&2; exit 2; fi
aws=(aws)
[ -z "${AWS_ENDPOINT_URL:-}" ] || aws+=(--endpoint-url "$AWS_ENDPOINT_URL")
"${aws[@]}" s3api put-bucket-lifecycle-configuration --bucket "$1" --lifecycle-configuration "{\"Rules\": [
    {\"ID\": \"expire\", \"Status\": \"Enabled\", \"Filter\": {\"Prefix\": \"\"}, \"Expiration\": {\"Days\": $2},
     \"AbortIncompleteMultipartUpload\": {\"DaysAfterInitiation\": 7}}]}" >/dev/null
echo "$1: objects go after $2 days"
