# shellcheck shell=bash disable=SC2154
# Policies, logging and expiry are set as S3 understands them, twice as well as once. moto stands for AWS.
need aws moto_server ansible-playbook
export AWS_ENDPOINT_URL=http://127.0.0.1:18330 AWS_ACCESS_KEY_ID=testing AWS_SECRET_ACCESS_KEY=testing AWS_REGION=us-east-1
export AWS_DEFAULT_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true
run moto_server -H 127.0.0.1 -p 18330
s3() { aws --endpoint-url "$AWS_ENDPOINT_URL" --output text s3api "$@"; }
until_true 30 s3 list-buckets
reader=arn:aws:iam::123456789012:user/windscreen
# says TEXT COMMAND...: what S3 then answers.
says() {
    local text=$1
    shift
    "$@" | grep -qF "$text" || { "$@"; echo "S3 does not say $text: $*" >&2; return 1; }
}
DRY_RUN=1 deploy/buckets/close.sh my-logs my-access-logs "$reader" | python3 -c 'import json, sys; [json.loads(line) for line in sys.stdin]'
fails_with 2 deploy/buckets/close.sh my-logs
fails_with 2 deploy/buckets/expire.sh my-logs
for bucket in my-logs my-images; do s3 create-bucket --bucket "$bucket" >/dev/null; done
# By hand, then by Ansible.
deploy/buckets/close.sh my-logs my-access-logs "$reader"
ANSIBLE_HOME=$work/ansible-home ansible-playbook -i localhost, deploy/ansible/buckets.yml >"$work/buckets.log" 2>&1 || { cat "$work/buckets.log"; exit 1; }
for bucket in my-logs my-images; do
    says "\"Principal\": {\"AWS\": \"$reader\"}" s3 get-bucket-policy --bucket "$bucket"
    says "[\"$reader\", \"arn:aws:iam::123456789012:role/ci\"]" s3 get-bucket-policy --bucket "$bucket"
    says my-access-logs s3 get-bucket-logging --bucket "$bucket"
    says True s3 get-public-access-block --bucket "$bucket" --query PublicAccessBlockConfiguration.RestrictPublicBuckets
done
says 365 s3 get-bucket-lifecycle-configuration --bucket my-images --query 'Rules[0].Expiration.Days'
says 90 s3 get-bucket-lifecycle-configuration --bucket my-access-logs --query 'Rules[0].Expiration.Days'
says logging.s3.amazonaws.com s3 get-bucket-policy --bucket my-access-logs
unset AWS_ENDPOINT_URL AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_REGION AWS_DEFAULT_REGION AWS_EC2_METADATA_DISABLED
