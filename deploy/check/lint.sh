# shellcheck shell=bash disable=SC2154
# Scripts and playbooks are as those should be.
need shellcheck ansible-lint
shellcheck deploy/check.sh deploy/buckets/*.sh deploy/ci/*.sh deploy/container/*.sh deploy/packages/debian/* deploy/check/*.sh
# It checks the syntax of the playbooks, too.
mkdir -p "$work/lint"
cp -r deploy/ansible "$work/lint/ansible"
(cd "$work/lint/ansible" && ANSIBLE_HOME=$work/lint/home ansible-lint --offline --profile production --nocolor -q .)
