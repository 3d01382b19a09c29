# shellcheck shell=bash disable=SC2154,SC1091,SC2016
# The units are understood by systemd, and shut out what they need not.
need systemd-analyze
for unit in windscreen.service windscreen.socket windscreen-report.service windscreen-report.timer; do
    # Programs and documents are those of an installed package: only their absence may be said here.
    said=$(systemd-analyze verify --man=no "deploy/systemd/$unit" 2>&1 | grep "deploy/systemd\|windscreen" |
        grep -v 'is not executable: No such file or directory' || true)
    [ -z "$said" ] || { echo "$said"; exit 1; }
done
for unit in windscreen.service windscreen-report.service; do
    systemd-analyze security --offline=true --threshold=20 --no-pager "deploy/systemd/$unit" | tail -n 1
done
