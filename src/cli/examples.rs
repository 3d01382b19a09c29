//! Examples below the help of commands.

pub(super) const SERVE: &str = "\
Examples:
  windscreen serve -c gateway.yaml
  windscreen serve --origin https://BUCKET.s3.us-east-1.amazonaws.com/ --anonymous";

pub(super) const CHECK: &str = "\
Examples:
  windscreen check -c gateway.yaml
  windscreen check policy.yaml --json";

pub(super) const DOCTOR: &str = "\
Run it as the user that the gateway runs as, and where it runs. It writes nothing but an empty file beside those that the
gateway writes, which it removes.

Examples:
  windscreen doctor -c gateway.yaml
  windscreen doctor -c gateway.yaml --json | jq '.findings[] | select(.verdict == \"bad\")'";

pub(super) const HEALTHCHECK: &str = "\
Its exit status is 0 where the gateway is ready, 1 where it is not or does not answer.

Examples:
  windscreen healthcheck -c gateway.yaml
  windscreen healthcheck --admin http://127.0.0.1:9090
  windscreen healthcheck --alive                         # for what would start it anew";

pub(super) const EXPLAIN: &str = "\
Examples:
  windscreen explain -c gateway.yaml --ip 192.0.2.9 --dress browser GET https://logs.example.org/run/log
  windscreen explain -c gateway.yaml --ip 192.0.2.9 --dress curl --mode enforce GET https://logs.example.org/run/log";

pub(super) const TEST: &str = "\
Examples:
  windscreen test policy.yaml
  windscreen test policy.yaml --filter browser
  windscreen test policy.yaml --require-coverage";

pub(super) const REPLAY: &str = "\
Examples:
  windscreen replay logs/
  windscreen replay s3://my-access-logs/ --since 14d --policy ours.yaml --diff theirs.yaml";

pub(super) const REPORT: &str = "\
Examples:
  windscreen report logs/
  windscreen report s3://my-access-logs/ --since 14d --format html > report.html
  windscreen report -c gateway.yaml --fail-if needed";

pub(super) const ORIGINS: &str = "\
Examples:
  windscreen origins -c gateway.yaml
  windscreen origins -c gateway.yaml --quiet 30d one.db two.db";

pub(super) const PREFIX: &str = "\
Examples:
  windscreen block 192.0.2.0/24 --for 2h --reason 'ticket 4711'
  windscreen allow 198.51.100.7 --reason 'the new CI host'";

pub(super) const COMPLETIONS: &str = "\
Examples:
  windscreen completions bash > /etc/bash_completion.d/windscreen
  windscreen completions zsh > ~/.zfunc/_windscreen
  windscreen completions fish > ~/.config/fish/completions/windscreen.fish";

pub(super) const MAN: &str = "\
Examples:
  windscreen man | man -l -
  windscreen man /usr/local/share/man/man1";
