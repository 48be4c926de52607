#!/usr/bin/env bash
# Makes the environment $VENV (default .venv) with the pinned versions, their hashes verified, and the libraries for headless drawing.
# usage: scripts/setup.sh run|dev      PYTHON=/path/to/python3.12 chooses the interpreter
set -euo pipefail
cd "$(dirname "$0")/.."

KIND="${1:?say which: run or dev}"
VENV="${VENV:-.venv}"
# A shim early on the path may shadow a good interpreter of the system.
ABSOLUTE="${VRODENT_SEARCH-/usr/bin/python3.11 /usr/bin/python3.12}"
GL_PACKAGES=(libegl1 libgl1-mesa-dri libgles2 libosmesa6)

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { printf 'setup: %s\n' "$@" >&2; exit 1; }

version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true; }
supported() { case "$(version_of "$1")" in 3.11 | 3.12) return 0 ;; *) return 1 ;; esac }
has_venv() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }
may_apt() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; }

apt_install() {
    say "installing Debian packages: $*"
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -qq -y --no-install-recommends "$@" >/dev/null 2>&1 && return
    apt-get update -qq && apt-get install -qq -y --no-install-recommends "$@" >/dev/null
}

find_python() {
    local candidate
    if [ -n "${PYTHON:-}" ]; then
        supported "$PYTHON" || fail "PYTHON=$PYTHON is $(version_of "$PYTHON" | sed 's/^$/not a Python that starts/'); vrodent needs 3.11 or 3.12."
        printf '%s\n' "$PYTHON"
        return
    fi
    for candidate in python3.11 python3.12 python3 $ABSOLUTE; do
        if command -v "$candidate" >/dev/null && supported "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    fail "vrodent needs Python 3.11 or 3.12 (python3 here is $(version_of python3 | sed 's/^$/missing/'); labmaze, which draws the mazes, exists for those two alone)." \
        "Install one and name it, for example:" \
        "    Debian 12 or Ubuntu 24.04:   sudo apt-get install python3 python3-venv" \
        "    anywhere, with uv:           uv python install 3.12 && make study PYTHON=\"\$(uv python find 3.12)\"" \
        "    anywhere, with conda:        conda create -n py312 python=3.12 && make study PYTHON=\"\$(conda run -n py312 which python)\""
}

make_venv() {
    local python="$1" version
    version="$(version_of "$python")"
    if ! has_venv "$python"; then
        if may_apt; then
            apt_install "python$version-venv"
        else
            fail "$python cannot make virtual environments: Debian keeps that in a package of its own. Run, then try again:" \
                "    sudo apt-get install python$version-venv"
        fi
    fi
    say "making $VENV with $python (Python $version)"
    "$python" -m venv "$VENV" || fail "$python could not make $VENV; see above."
}

install_gl() {
    local missing=() package
    if command -v dpkg-query >/dev/null; then
        for package in "${GL_PACKAGES[@]}"; do
            dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
        done
        [ ${#missing[@]} -gt 0 ] || return 0
        if may_apt; then
            apt_install "${missing[@]}" || say "could not install ${missing[*]}; see above. Going on without them."
            return 0
        fi
    fi
    "$VENV/bin/python" -c 'import ctypes.util, sys; sys.exit(not (ctypes.util.find_library("EGL") or ctypes.util.find_library("OSMesa")))' && return 0
    fail "no library draws without a screen here (EGL or OSMesa). On Debian or Ubuntu run, then try again:" \
        "    sudo apt-get install ${GL_PACKAGES[*]}" \
        "On other systems install Mesa's EGL library."
}

[ "$KIND" = run ] || [ "$KIND" = dev ] || fail "what to install is run or dev, not $KIND."
if [ -x "$VENV/bin/python" ]; then
    supported "$VENV/bin/python" ||
        fail "$VENV holds Python $(version_of "$VENV/bin/python" | sed 's/^$/that does not start/'); vrodent needs 3.11 or 3.12. Remove it (rm -r $VENV) and run this again."
else
    python="$(find_python)"
    make_venv "$python"
fi

name="py$(version_of "$VENV/bin/python" | tr -d .)"
dev="constraints/$name-dev.txt"
lock="constraints/$name.txt"
[ "$KIND" = run ] || lock="$dev"

# What is installed is remembered as a checksum of what was asked for, so that a second run installs nothing.
stamp="$(cat "$lock" pyproject.toml | sha256sum | cut -c 1-16)"
if ! grep -qsx "$stamp" "$VENV/.vrodent-$KIND" && ! { [ "$KIND" = run ] && grep -qsx "$(cat "$dev" pyproject.toml | sha256sum | cut -c 1-16)" "$VENV/.vrodent-dev"; }; then
    say "installing $(grep -c == "$lock") pinned packages of $lock (a minute or so; hashes are verified)"
    # Only ready-made files: nothing is compiled and no package's own code runs before its hash was checked.
    "$VENV/bin/python" -m pip install --quiet --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r "$lock"
    "$VENV/bin/python" -m pip install --quiet --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
    printf '%s\n' "$stamp" >"$VENV/.vrodent-$KIND"
fi
install_gl
