# shellcheck shell=bash
# Common parts of the scripts in ci/ and apxs/: sourced, never run.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PATH=$PATH:${HOME:-/root}/.cargo/bin:/usr/sbin:/sbin
TARGET_DIR=${CARGO_TARGET_DIR:-target}
[[ $TARGET_DIR == /* ]] || TARGET_DIR=$ROOT/$TARGET_DIR
OURS=$TARGET_DIR/release/mod_mpm_rust_event.so
export LC_ALL=C

# Debian's apache2 package would start a server on port 80: apache2-bin holds all that is needed here.
declare -A PACKAGES=(
  [build]='ca-certificates gcc libc6-dev libclang-dev apache2-bin apache2-dev pkg-config'
  [test]='curl libapache2-mod-fcgid libapache2-mod-perl2 libapache2-mod-perl2-dev libio-socket-ssl-perl make media-types
          libapache2-mod-qos libapache2-mod-security2 libapache2-mod-wsgi-py3 libfcgi-perl libpcre3 libsystemd-dev nghttp2-client
          openssl procps python3 wrk'
  [bench]='linux-perf nghttp2-client openssl python3-matplotlib strace wrk'
  [serve]='curl'
  [soak]='curl openssl wrk'
  [micro]='ca-certificates gcc libc6-dev'
  [source]='dpkg-dev'
  [versions]='libpcre2-dev'
  [upstream]='apache2-utils libanyevent-perl libanyevent-websocket-client-perl libapparmor1 libcgi-pm-perl
          libdatetime-perl libfcgi-perl libhttp-dav-perl libltdl7 liblwp-protocol-https-perl libodbc2
          libprotocol-http2-perl libwrap0 libwww-perl openssl perl-doc php-cli'
  [valgrind]='curl openssl valgrind'
)

die() {
  printf '%s: %s\n' "${ME:-${0##*/}}" "$*" >&2
  exit 1
}

# need GROUP...: what is missing of these groups of packages is installed. Not on Debian: the person has seen to it.
need() {
  command -v dpkg-query >/dev/null || return 0
  local group p have wanted=() missing=()
  # shellcheck disable=SC2206 # split on purpose
  for group; do wanted+=(${PACKAGES[$group]}); done
  # shellcheck disable=SC2016 # the ${...} are dpkg-query's
  have=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${wanted[@]}" 2>/dev/null || true)
  for p in "${wanted[@]}"; do
    grep -qx "$p installed" <<<"$have" || missing+=("$p")
  done
  ((${#missing[@]})) || return 0
  ((EUID == 0)) || die "packages are missing; as root: apt-get install -y --no-install-recommends ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q </dev/null
  apt-get install -q -y --no-install-recommends "${missing[@]}" </dev/null
}

# need_cargo [COMPONENT...]: a Rust new enough for Cargo.toml, with these rustup components.
need_cargo() {
  local msrv have part
  msrv=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$ROOT/Cargo.toml")
  have=$(cargo --version 2>/dev/null | awk '{print $2}' || true)
  [[ -n $have && $(printf '%s\n' "$msrv" "$have" | sort -V | head -n 1) == "$msrv" ]] ||
    die "Rust $msrv or newer is needed (found: ${have:-none}); get it with:" \
      "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y"
  for part; do
    cargo "${part/rustfmt/fmt}" --version >/dev/null 2>&1 || rustup component add "$part" ||
      die "cargo has no $part and rustup can't add it"
  done
}

# Sets APXS, HTTPD and LIBEXECDIR: the installed server.
find_httpd() {
  APXS=${APXS:-$(command -v apxs || command -v apxs2 || true)}
  [[ -n $APXS ]] || die "apxs is missing (Debian: apache2-dev, RHEL: httpd-devel)"
  HTTPD=$("$APXS" -q SBINDIR)/$("$APXS" -q PROGNAME)
  LIBEXECDIR=$("$APXS" -q LIBEXECDIR)
}

# Sets MODULE and SYMBOL: the MPM under test. Ours, freshly built, unless the environment names another file;
# the symbol follows from the file's name.
find_mpm() {
  find_httpd
  if [[ -z ${MODULE:-} ]]; then
    "$ROOT/ci/build"
    MODULE=$OURS
  fi
  [[ -f $MODULE ]] || die "no module at $MODULE"
  local name
  name=$(basename "$MODULE" .so)
  SYMBOL=${SYMBOL:-${name#mod_}_module}
}

# apache_source: the folder with Debian's source package of apache2, fetched once. The system's own list of packages stays
# as it is.
apache_source() {
  local dir=$TARGET_DIR/apache-source list=/etc/apt/sources.list.d/debian.sources apt version
  if [[ -f $dir/complete ]]; then
    echo "$dir"
    return
  fi
  rm -rf "$dir"
  mkdir -p "$dir/lists/partial"
  if [[ -f $list ]]; then
    sed 's/^Types: deb$/Types: deb-src/' "$list" >"$dir/apt.sources" # apt goes by the ending
    list=$dir/apt.sources
  else
    sed -n 's/^deb /deb-src /p' /etc/apt/sources.list >"$dir/apt.list"
    list=$dir/apt.list
  fi
  apt=(-q -o Dir::Etc::SourceList="$list" -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists="$dir/lists"
    -o APT::Sandbox::User=root)
  apt-get "${apt[@]}" update >/dev/null || die 'no list of source packages: is the mirror there?'
  # The newest may be announced and not there yet.
  for version in $(apt-cache "${apt[@]}" showsrc apache2 | sed -n 's/^Version: //p' | sort -rVu); do
    rm -f "$dir"/apache2_*
    if (cd "$dir" && apt-get "${apt[@]}" source --download-only "apache2=$version") >/dev/null 2>&1; then
      touch "$dir/complete"
      echo "$dir"
      return
    fi
  done
  die 'no source package of apache2 can be had'
}

# --- a private server -----------------------------------------------------------------------------

SERVER_PID=
TMP=

# Sets TMP: a directory that goes, as the server does, when the script ends. Readable for the server's own user.
make_tmp() {
  TMP=$(mktemp -d "${TMPDIR:-/tmp}/rust-event.XXXXXX")
  chmod 755 "$TMP"
  mkdir "$TMP/logs" "$TMP/run" "$TMP/htdocs"
  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

clean_up() {
  stop_server || true
  [[ -z $TMP ]] || rm -rf "$TMP"
}

port_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

free_port() {
  local port
  while port=$((20000 + RANDOM % 10000)); port_taken "$port"; do :; done
  echo "$port"
}

# load_lines NAME...: LoadModule lines of those modules that are files; the others are in the server's binary.
load_lines() {
  local m
  for m; do
    [[ ! -f $LIBEXECDIR/mod_$m.so ]] || echo "LoadModule ${m}_module \"$LIBEXECDIR/mod_$m.so\""
  done
}

# The lines that make a server started by root drop its privileges.
user_lines() {
  ((EUID == 0)) || return 0
  local u
  for u in www-data apache httpd daemon nobody; do
    if id "$u" >/dev/null 2>&1; then
      printf 'User %s\nGroup #%s\n' "$u" "$(id -g "$u")"
      return
    fi
  done
}

# render FILE [NAME VALUE]...: FILE with each @NAME@ replaced.
render() {
  local text
  text=$(<"$1")
  shift
  while (($#)); do
    text=${text//"@$1@"/"$2"}
    shift 2
  done
  printf '%s\n' "$text"
}

# write_conf PORT [MODULE...]: the demo's httpd.conf in TMP, with these modules besides its own.
write_conf() {
  local port=$1
  shift
  render "$ROOT/apxs/demo/httpd.conf.in" ROOT "$TMP" PORT "$port" SYMBOL "$SYMBOL" MODULE "$MODULE" \
    USER "$(user_lines)" \
    MODULES "$(load_lines unixd authz_core authz_host log_config dir mime status http2 "$@")" >"$TMP/httpd.conf"
}

# write_cert: a self-signed certificate in TMP/server.pem.
write_cert() {
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -keyout "$TMP/key.pem" -out "$TMP/cert.pem" \
    2>/dev/null
  cat "$TMP/key.pem" "$TMP/cert.pem" >"$TMP/server.pem"
}

# start_server URL [COMMAND WORD...]: the server of CONF (TMP/httpd.conf unless set), under COMMAND; back when URL
# answers.
start_server() {
  local url=$1 i
  shift
  "$@" "$HTTPD" -f "${CONF:-$TMP/httpd.conf}" "${HTTPD_FLAGS[@]--DFOREGROUND}" >>"$TMP/logs/console" 2>&1 </dev/null &
  SERVER_PID=$!
  for ((i = 0; i < ${START_TICKS:-100}; i++)); do
    if curl -sfo /dev/null "$url"; then return; fi
    kill -0 "$SERVER_PID" 2>/dev/null || break
    sleep 0.1
  done
  cat "$TMP"/logs/* >&2
  die "the server did not start"
}

# stop_server: SIGTERM, SIGKILL after STOP_SECONDS; false when it had to be killed.
stop_server() {
  [[ -n $SERVER_PID ]] || return 0
  local pid=$SERVER_PID i
  SERVER_PID=
  kill -TERM "$pid" 2>/dev/null || return 0
  for ((i = 0; i < ${STOP_SECONDS:-20} * 10; i++)); do
    if ! kill -0 "$pid" 2>/dev/null; then
      wait "$pid" 2>/dev/null || true
      return 0
    fi
    sleep 0.1
  done
  read -r -a i <"/proc/$pid/task/$pid/children" || true
  kill -KILL "$pid" "${i[@]}" 2>/dev/null || true
  return 1
}

# debian_files: sets DEB, below which the files of Debian's package apache2 are: / where it is installed, else a copy.
DEB=
debian_files() {
  [[ ! $DEB ]] || return 0
  if [[ -f /etc/apache2/apache2.conf ]]; then return; fi
  DEB=$TMP/deb
  mkdir "$DEB"
  (
    cd "$DEB"
    apt-get -o APT::Sandbox::User=root download -q apache2
    dpkg-deb -x apache2_*.deb .
  ) </dev/null >/dev/null
}

# debian_etc DIR: a copy of Debian's /etc/apache2 with what a fresh installation enables.
debian_etc() {
  local dir=$1 name
  debian_files
  cp -a "$DEB/etc/apache2" "$dir"
  rm -rf "$dir"/{mods,sites,conf}-enabled "$dir"/mods-available/mpm_rust_event.* "$dir/mpm_rust_event.saved"
  mkdir "$dir"/{mods,sites,conf}-enabled
  for name in access_compat alias auth_basic authn_core authn_file authz_core authz_host authz_user autoindex deflate \
    dir env filter mime mpm_event negotiation reqtimeout setenvif status; do
    link_mod "$dir" "$name"
  done
  ln -s ../sites-available/000-default.conf "$dir/sites-enabled/"
  ln -s ../conf-available/{charset,localized-error-pages,other-vhosts-access-log,security,serve-cgi-bin}.conf \
    "$dir/conf-enabled/"
  printf 'export APACHE_%s=%s\n' RUN_DIR "$TMP/run" LOCK_DIR "$TMP/run" LOG_DIR "$TMP/logs" \
    PID_FILE "$TMP/run/httpd.pid" >>"$dir/envvars"
}

# envvars DIR: takes the environment that apache2ctl would give a server of this tree, if it is one of Debian's.
# For a subshell: it unsets HOME.
envvars() {
  [[ -f $1/envvars ]] || return 0
  export APACHE_CONFDIR=$1
  set +u
  # shellcheck disable=SC1091
  . "$1/envvars"
  set -u
}

# link_mod DIR NAME: what a2enmod does.
link_mod() {
  local f
  for f in "$1/mods-available/$2".{load,conf}; do
    [[ ! -f $f ]] || ln -s "../mods-available/${f##*/}" "$1/mods-enabled/"
  done
}

# --- counting -------------------------------------------------------------------------------------

PASSED=0
FAILED=0

# check WHAT COMMAND...: one test; its output is shown when it fails.
check() {
  local what=$1 out
  shift
  if out=$("$@" 2>&1); then
    PASSED=$((PASSED + 1))
    echo "ok - $what"
  else
    FAILED=$((FAILED + 1))
    echo "not ok - $what"
    [[ -z $out ]] || printf '%s\n' "$out" | sed 's/^/#   /'
  fi
}

# tally: the last line of a test script, and its result.
tally() {
  echo "$PASSED passed, $FAILED failed"
  ((FAILED == 0))
}
