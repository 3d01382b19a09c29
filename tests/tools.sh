#!/bin/sh
# tools.sh PROGRAM[=PACKAGE]...: installs the Debian packages of programs that are missing, or names them. No others: what
# is there may come from elsewhere (Node.js often does), and not go together with Debian's package.
# `a|b` stands for either program, `python3:m` for a module of Python, that of the distribution if need be.
set -eu
PATH=$PATH:/usr/sbin
missing=
packages=
for entry in "$@"; do
    program=${entry%%=*}
    found=
    for name in $(echo "$program" | tr '|' ' '); do
        case $name in
        python3:*)
            for python in python3 /usr/bin/python3; do
                "$python" -c "import ${name#*:}" >/dev/null 2>&1 && found=$name
            done
            ;;
        *) command -v "$name" >/dev/null 2>&1 && found=$name ;;
        esac
    done
    [ -n "$found" ] && continue
    missing="$missing $program"
    packages="$packages ${entry#*=}"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing for:$missing"
    apt-get update -qq
    # shellcheck disable=SC2086 # the packages are a list of words
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
else
    echo "missing:$missing"
    echo "install them first, on Debian: apt-get install$packages"
    exit 1
fi
