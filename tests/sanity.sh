#!/usr/bin/env bash
# ansible-test insists on a real path that ends in ansible_collections/NAMESPACE/NAME and on a bootstrap of pip that it
# would download from a place of its own. So the tree is copied to such a path, and pip comes from the package index.
set -euo pipefail
cd "$(dirname "$0")/.."
bin="$PWD/.venv/bin"
python="$("$bin/python" -c 'import sys; print("{}.{}".format(*sys.version_info))')"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

cache="${ANSIBLE_TEST_CACHE:-$HOME/.ansible/test/cache}"
pip_version=24.2
bootstrap="$cache/get_pip_${pip_version//./_}.py"
if [ ! -e "$bootstrap" ]; then
  mkdir -p "$cache"
  "$bin/python" -m pip --quiet --disable-pip-version-check download --no-deps --dest "$cache" "pip==$pip_version"
  wheel="$cache/pip-$pip_version-py3-none-any.whl"
  cat >"$bootstrap" <<PYTHON
import runpy
import sys

sys.path.insert(0, "$wheel")
sys.argv = ["pip", "install", "--no-index", "--no-deps", "$wheel"]
runpy.run_module("pip", run_name="__main__", alter_sys=True)
PYTHON
fi

target="$work/ansible_collections/langsmith/aws"
mkdir -p "$target"
# The sandbox and its tests are no part of the built collection, and its Helm templates are no YAML to yamllint.
git ls-files --cached --others --exclude-standard -z -- . ':!sandbox' ':!tests/sandbox' |
  while IFS= read -r -d '' file; do [ -e "$file" ] && printf '%s\0' "$file"; done |
  tar --null --files-from=- --create | tar --extract --directory "$target"
site="$("$bin/python" -c 'import ansible_collections as c; print(list(c.__path__)[0])')"
for namespace in amazon ansible community kubernetes; do
  ln -s "$site/$namespace" "$work/ansible_collections/$namespace"
done
cd "$target"
unset ANSIBLE_CONFIG
PATH="$bin:$PATH" "$bin/ansible-test" sanity --local --python "$python" --color no "$@"
