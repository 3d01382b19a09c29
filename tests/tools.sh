#!/bin/sh
# tools.sh 'PROGRAM...' 'PACKAGE...': installs the Debian packages when one of the programs is missing, or names them.
# `a|b` stands for either program, `python3:m` for a module of Python, that of the distribution if need be.
set -eu
PATH=$PATH:/usr/sbin
missing=
for program in $1; do
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
    [ -n "$found" ] || missing="$missing $program"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing for:$missing"
    apt-get update -qq
    # shellcheck disable=SC2086 # the packages are a list of words
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $2 >/dev/null
else
    echo "missing:$missing"
    echo "install them first, on Debian: apt-get install $2"
    exit 1
fi
