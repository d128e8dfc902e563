#!/bin/sh
# Makes .venv beside the Makefile and installs hoaxwatch with its development tools into it.
# Called by make, from the folder of the checkout. Does nothing when everything is in place.
# PYTHON=... names the interpreter; otherwise python3.13, 3.12, 3.11 and python3 are tried.
set -eu

VENV=.venv
STAMP=$VENV/installed
LOG=$VENV/pip.log
WHEELS=../shared/wheels
NEEDS='hoaxwatch needs Python 3.11 to 3.13 with venv'

# The environment of an outer Python must not reach into the new one.
unset PYTHONHOME PYTHONPATH PIP_USER PIP_TARGET PIP_PREFIX PIP_REQUIRE_VIRTUALENV

say() { printf '%s\n' "$*"; }
fail() {
    printf 'error: %s\n' "$@" >&2
    exit 1
}

# Prints "3.11 linux x86_64" for an interpreter that really runs (a pyenv shim may exist and not
# run) and has what venv needs. Fails otherwise, with the reason in $reason.
describe_python() {
    if ! version=$("$1" -c 'import platform, sys
print("%d.%d" % sys.version_info[:2], sys.platform, platform.machine())' 2>/dev/null); then
        if command -v "$1" >/dev/null 2>&1; then reason="$1 is there but does not run"; else reason="no $1"; fi
        return 1
    fi
    case $version in
    3.11\ * | 3.12\ * | 3.13\ *) ;;
    *)
        reason="$1 is Python ${version%% *}"
        return 1
        ;;
    esac
    if ! "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        reason="$1 has no venv (Debian: apt install python${version%% *}-venv)"
        return 1
    fi
}

find_python() {
    tried=
    for candidate in ${PYTHON:+"$PYTHON"} ${PYTHON:-python3.13 python3.12 python3.11 python3}; do
        if describe_python "$candidate"; then
            python=$candidate
            return
        fi
        case $tried in *"$reason"*) ;; *) tried="$tried; $reason" ;; esac
    done
    fail "$NEEDS${tried:+ (found: ${tried#; })}" \
        'on Debian: apt install python3.11-venv; or say which: make PYTHON=/path/to/python3.12'
}

# What the environment was made for. A copied or moved checkout has another folder, and a .venv
# of the old one would run the old one's code.
wanted() {
    pwd -P
    cksum <pyproject.toml
}

runs() { "$VENV/bin/python" -c '' >/dev/null 2>&1; }

is_complete() {
    [ -f "$STAMP" ] && [ "$(cat "$STAMP")" = "$(wanted)" ] && runs || return 1
    [ -z "${PYTHON:-}" ] || [ "$("$PYTHON" -V 2>&1)" = "$("$VENV/bin/python" -V 2>&1)" ]
}

is_complete && exit 0

for folder in . "$VENV"; do
    [ ! -e "$folder" ] || [ -w "$folder" ] ||
        fail "cannot write to $(cd "$folder" && pwd) as $(id -un 2>/dev/null || id -u)" \
            'copy the checkout to a folder of your own and run make there'
done

# Two at once would clear and fill the same folder. The kernel lets go of the lock of who ends,
# however that is; it stands beside .venv, which is cleared.
if command -v flock >/dev/null 2>&1; then
    exec 9>"$VENV.lock"
    # 1: somebody has it; else this file system knows no locks
    flock -n 9 || {
        [ $? -ne 1 ] || say "another make sets up $VENV: waiting for it"
        flock 9 || say "$VENV.lock cannot be locked here: run one make at a time"
    }
    is_complete && exit 0
fi

find_python
# "as it was made": this checkout's, complete or broken off while installing, and it still runs
made_here=$(sed -n 1p "$VENV/made" 2>/dev/null || true)
if ! runs || [ "$made_here" != "$(pwd -P)" ] || ! [ "$("$python" -V)" = "$("$VENV/bin/python" -V)" ]; then
    say "making $VENV with $python (Python ${version%% *})"
    "$python" -m venv --clear "$VENV" || fail "$python cannot make $VENV; the reason is above"
    pwd -P >"$VENV/made"
fi
rm -f "$STAMP" "$LOG.new"

if [ -d "$WHEELS" ] && [ "$version" = '3.11 linux x86_64' ]; then
    say "taking the CPU build of PyTorch from $WHEELS"
    export PIP_FIND_LINKS="${PIP_FIND_LINKS:+$PIP_FIND_LINKS }$WHEELS"
    export PIP_CONSTRAINT="${PIP_CONSTRAINT:+$PIP_CONSTRAINT }$WHEELS/constraints.txt"
else
    say "PyTorch comes from pip's index: on Linux with its CUDA libraries, some GB to download"
fi

# pip's own lines go to a log; the ones that show that it goes on are passed through.
say "installing hoaxwatch and its development tools into $VENV (some minutes)"
export PIP_DISABLE_PIP_VERSION_CHECK=1
{
    status=0
    "$VENV/bin/python" -m pip install --no-input --progress-bar off -e '.[dev]' 2>&1 || status=$?
    say "pip ended with $status"
} | while IFS= read -r line; do
    printf '%s\n' "$line" >>"$LOG.new"
    case $line in
    *Downloading*' MB)'* | *Downloading*' GB)'*) say "  ${line##*Downloading }" ;;
    *'Processing '*.whl*) line=${line##*/}; say "  ${line%% (from *}" ;;
    *'Installing collected packages:'*) say "  unpacking $(printf '%s' "${line#*:}" | wc -w) packages" ;;
    esac
done
mv "$LOG.new" "$LOG"
if [ "$(tail -n 1 "$LOG")" != 'pip ended with 0' ]; then
    tail -n 25 "$LOG" >&2
    fail "pip could not install hoaxwatch; its last words are above, all of them in $LOG" \
        'correct that and run make again: it goes on where it broke off'
fi
wanted >"$STAMP"
say "ready: $VENV"
