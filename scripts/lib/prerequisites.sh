# Shell functions shared by the scripts: each check says exactly what is missing and how to get it.

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

missing() {
  printf 'missing: %s\n   how to get it: %s\n' "$1" "$2" >&2
  exit 1
}

need_node() {
  command -v node >/dev/null ||
    missing 'Node.js 20.19 or later' 'https://nodejs.org, or your distribution (Debian 13: apt-get install nodejs npm)'
  node -e '
    const [major, minor] = process.versions.node.split(".").map(Number);
    process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)' ||
    missing "Node.js 20.19 or later (this is $(node --version))" 'https://nodejs.org'
  command -v npm >/dev/null || missing 'npm' 'it comes with Node.js; on Debian: apt-get install npm'
}

need_compiler() {
  { command -v g++ >/dev/null || command -v c++ >/dev/null; } ||
    missing 'a C++ compiler' 'apt-get install g++ (Debian, Ubuntu) or dnf install gcc-c++ (Fedora)'
  command -v make >/dev/null || missing 'make' 'apt-get install make'
  command -v python3 >/dev/null || missing 'python3 (node-gyp runs it)' 'apt-get install python3'
}

need_fuse() {
  [ -e /dev/fuse ] ||
    missing '/dev/fuse' 'modprobe fuse (as root); in a container: --device /dev/fuse --cap-add SYS_ADMIN'
  if [ "$(id -u)" -ne 0 ]; then
    command -v fusermount3 >/dev/null ||
      missing 'fusermount3, which mounts for users who are not root' 'sudo apt-get install fuse3'
    { [ -r /dev/fuse ] && [ -w /dev/fuse ]; } ||
      missing "the right to open /dev/fuse (you are $(id -un))" 'sudo chmod 666 /dev/fuse, or run as root'
  elif ! capable_of_mounting; then
    missing 'the capability CAP_SYS_ADMIN, which mounting as root takes' \
      'in a container: --cap-add SYS_ADMIN --device /dev/fuse'
  fi
}

capable_of_mounting() {
  # Bit 21 of the effective capabilities is CAP_SYS_ADMIN (linux/capability.h).
  local effective
  effective=$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status)
  [ $((0x$effective >> 21 & 1)) -eq 1 ]
}

# Installs those of the named Debian packages that are not there yet.
need_debian_packages() {
  local wanted=() package
  for package in "$@"; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
      wanted+=("$package")
  done
  [ ${#wanted[@]} -eq 0 ] && return
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    missing "these packages: ${wanted[*]}" "sudo apt-get install ${wanted[*]}"
  fi
  say "Installing Debian packages: ${wanted[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${wanted[@]}" \
    >/dev/null
}

# Builds the judges of file systems, and the S3 server, that only crates.io has, once for each version.
need_judges() {
  command -v cargo >/dev/null ||
    missing 'cargo, which builds pjdfstest, fsx and s3s-fs' 'https://rustup.rs, or apt-get install cargo'
  local judge features
  for judge in pjdfstest@0.2.2 fsx@0.3.2 s3s-fs@0.14.1; do
    [ -e ".cache/judge/$judge" ] && continue
    say "Building $judge"
    features=()
    [[ $judge = s3s-fs@* ]] && features=(--features binary)
    CARGO_TARGET_DIR=.cache/judge/target \
      cargo install --quiet --locked --force "${features[@]}" --root .cache/judge "$judge"
    touch ".cache/judge/$judge"
  done
  rm -rf .cache/judge/target
}

# Installs those packages of test/e2e/requirements.txt whose names begin so, in .cache/venv, unless they are there.
need_python_packages() {
  local venv=.cache/venv package wanted=()
  [ -x "$venv/bin/pip" ] || python3 -m venv "$venv"
  for package in "$@"; do
    package=$(grep "^$package" test/e2e/requirements.txt)
    "$venv/bin/pip" show --quiet "${package%%[[=]*}" 2>/dev/null || wanted+=("$package")
  done
  [ ${#wanted[@]} -eq 0 ] && return
  say "Installing Python packages: ${wanted[*]}"
  "$venv/bin/pip" install --quiet --disable-pip-version-check "${wanted[@]}"
}

# Installs what the lock file names, unless that was done for this very lock file.
install_node_packages() {
  local stamp=node_modules/.tarn-lock
  if ! cmp -s package-lock.json "$stamp"; then
    say 'Installing Node packages'
    npm ci --no-audit --no-fund
    cp package-lock.json "$stamp"
  fi
}

build() {
  say 'Building'
  npm run --silent build
}
