#!/bin/sh
# Finds a Python that fits and hands over to bootstrap.py, which does the rest.
set -eu
cd "$(dirname "$0")/.."

seen=""
for name in python3 python3.13 python3.12 python3.11 python; do
    python=$(command -v "$name") || continue
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
    case "$version" in
        3.11 | 3.12 | 3.13) exec "$python" scripts/bootstrap.py ;;
    esac
    seen="$seen$python is Python $version; "
done

echo "No Python from 3.11 to 3.13 was found (${seen:-none is on PATH; }TensorFlow and Spark run on these)." \
    "Install one and run make again (Debian: \`apt-get install -y python3 python3-venv\`," \
    "macOS: \`brew install python@3.13\`, Windows: \`winget install Python.Python.3.13\`)." >&2
exit 1
