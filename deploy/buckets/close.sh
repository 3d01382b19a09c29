#!/usr/bin/env bash
# close.sh BUCKET LOG-BUCKET READER-ARN [WRITER-ARN...]
# Lets only the gateway (READER-ARN) read BUCKET and only the writers and it get at its objects, and logs each access to
# LOG-BUCKET, which is made where it is missing and forgets after KEEP_DAYS (90). The standard AWS chain says who you are;
# AWS_ENDPOINT_URL names another S3. It may be run again. DRY_RUN=1 shows the policies and changes nothing.
set -euo pipefail
[ $# -ge 3 ] || { sed -n '2,5s/^# //p' "$0" >&2; exit 2; }
bucket=$1 log_bucket=$2 reader=$3
shift 3
here=$(cd "$(dirname "$0")" && pwd)
aws=(aws --output json)
[ -z "${AWS_ENDPOINT_URL:-}" ] || aws+=(--endpoint-url "$AWS_ENDPOINT_URL")
account=$("${aws[@]}" sts get-caller-identity --query Account --output text)
region=${AWS_REGION:-${AWS_DEFAULT_REGION:-us-east-1}}

# fill FILE: the template with our names in it.
fill() {
    python3 - "$here/$1" "$bucket" "$log_bucket" "$account" "${KEEP_DAYS:-90}" "$reader" "$@" <<'PYTHON'
import json, sys
file, bucket, log_bucket, account, days, reader, _, *writers = sys.argv[1:]
text = open(file).read()
for name, value in {"BUCKET": bucket, "LOGS": log_bucket, "ACCOUNT": account, "READER": reader}.items():
    text = text.replace("{" + name + "}", value)
document = json.loads(text.replace('"{DAYS}"', days))
for statement in document.get("Statement", []):
    allowed = statement.get("Condition", {}).get("ArnNotLike", {})
    if "aws:PrincipalArn" in allowed:
        allowed["aws:PrincipalArn"] += writers
print(json.dumps(document))
PYTHON
}

policy=$(fill reader-policy.json "$@")
log_policy=$(fill log-bucket-policy.json)
if [ -n "${DRY_RUN:-}" ]; then
    printf '%s\n%s\n' "$policy" "$log_policy"
    exit
fi

if ! "${aws[@]}" s3api head-bucket --bucket "$log_bucket" >/dev/null 2>&1; then
    # us-east-1 is the one region that must not be named.
    place=()
    [ "$region" = us-east-1 ] || place=(--create-bucket-configuration "LocationConstraint=$region")
    "${aws[@]}" s3api create-bucket --bucket "$log_bucket" "${place[@]}" >/dev/null
fi
closed=BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true
"${aws[@]}" s3api put-public-access-block --bucket "$log_bucket" --public-access-block-configuration "$closed"
"${aws[@]}" s3api put-bucket-policy --bucket "$log_bucket" --policy "$log_policy"
"${aws[@]}" s3api put-bucket-lifecycle-configuration --bucket "$log_bucket" \
    --lifecycle-configuration "$(fill log-bucket-lifecycle.json)" >/dev/null
"${aws[@]}" s3api put-bucket-logging --bucket "$bucket" --bucket-logging-status "$(fill logging.json)"
# Last, and the policy before the block: from here on only the gateway reads.
"${aws[@]}" s3api put-bucket-policy --bucket "$bucket" --policy "$policy"
"${aws[@]}" s3api put-public-access-block --bucket "$bucket" --public-access-block-configuration "$closed"
echo "$bucket: read by $reader alone; accesses are logged to s3://$log_bucket/$bucket/, for ${KEEP_DAYS:-90} days"
