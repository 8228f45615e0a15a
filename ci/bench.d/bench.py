"""Measures this MPM against httpd's own; see README.md. Called by ci/bench, which prepares the environment."""
import argparse
import datetime
import json
import os
import resource
import shutil
import signal
import sys
from pathlib import Path

import cases
import load
import machine
import report
import runner
import server as servers
import tables

DEFAULT = [*cases.STOCK, cases.OURS, cases.NGINX]
QUICK_CASES = {"idle-1000", "idle-5000"}  # what --quick leaves out


def arguments():
    parser = argparse.ArgumentParser(prog="ci/bench", description="Measures this MPM against httpd's own and nginx.")
    parser.add_argument("--quick", action="store_true", help="one short round of everything, small: a smoke test")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds of each case (5)")
    parser.add_argument("--seconds", type=int, metavar="S", help="length of each load, at least 1 (3)")
    parser.add_argument("--only", metavar="CASE,...", help="these cases only")
    parser.add_argument("--mpms", metavar="NAME,...", help=f"these contenders only, of {','.join(DEFAULT)} and --module")
    parser.add_argument("--module", action="append", default=[], metavar="NAME=FILE",
                        help="another build of the module as a contender; may be repeated")
    parser.add_argument("--out", metavar="DIR", help="where the report goes (target/bench/<date>-<time>)")
    parser.add_argument("--list", action="store_true", help="the cases' names")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 5)
    options.seconds = max(1, options.seconds or (1 if options.quick else 3))
    options.module = dict(entry.partition("=")[::2] for entry in options.module)
    for name, file in options.module.items():
        if not os.path.isfile(file):
            parser.error(f"--module {name}: no file {file or '(NAME=FILE is wanted)'}")
    options.mpms = options.mpms.split(",") if options.mpms else [*DEFAULT, *options.module]
    for name in options.mpms:
        if name not in DEFAULT and name not in options.module:
            parser.error(f"--mpms: there is no {name}")
    names = options.only.split(",") if options.only else [
        case.name for case in cases.CASES if not (options.quick and case.name in QUICK_CASES)]
    for name in names:
        if name not in cases.BY_NAME:
            parser.error(f"--only: there is no {name}; --list names the cases")
    options.cases = [cases.BY_NAME[name] for name in names]
    return options


def prepare(options):
    """The files that the servers share, in the directory that ci/bench made."""
    tmp = Path(os.environ["TMP_DIR"])
    htdocs = tmp / "htdocs"
    for name, size in cases.FILES.items():
        (htdocs / name).write_bytes((b"Hello, world\n" * (size // 13 + 1))[:size])
    os.environ["HOME"] = str(tmp)
    site = servers.Site(tmp=tmp, httpd=os.environ["HTTPD"], nginx=os.environ.get("NGINX", ""),
                        libexec=os.environ["LIBEXECDIR"], sleeper=os.environ["SLEEPER"], cert=tmp / "server.pem",
                        htdocs=htdocs)
    if not site.nginx and cases.NGINX in options.mpms:
        print("no nginx is to be had: it is left out")
        options.mpms.remove(cases.NGINX)
    # copies: a build that goes on meanwhile must not change what is measured
    modules = {**options.module}
    if cases.OURS in options.mpms:
        modules[cases.OURS] = os.environ["MODULE"]
    for name, file in modules.items():
        folder = tmp / "modules" / name
        folder.mkdir(parents=True)
        stock = os.path.basename(file).startswith("mod_mpm_")
        copy = folder / (os.path.basename(file) if stock else "mod_mpm_rust_event.so")
        shutil.copy(file, copy)
        modules[name] = str(copy)
    return site, servers.contenders(options.mpms, modules, site.libexec)


def main():
    options = arguments()
    if options.list:
        for case in cases.CASES:
            print(f"{case.name:<11} {case.title}")
        return 0
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if options.quick:
        load.WARM_UP = 0.1
    site, contenders = prepare(options)
    out = Path(options.out or Path(os.environ["TARGET_DIR"]) / "bench" /
               datetime.datetime.now().strftime("%Y%m%d-%H%M%S"))
    out.mkdir(parents=True, exist_ok=True)
    results = {"machine": machine.about(options, contenders), "cases": {}}
    run = runner.Runner(site, options)
    for case in options.cases:
        print(f"{case.name}: {case.title}", flush=True)
        results["cases"][case.name] = run.run(case, contenders)
        report.write(results, out)  # what there is so far stays, whatever happens
        print(tables.plain(tables.of_case(results, case.name)), flush=True)
    return report.finish(results, out)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except servers.ServerError as error:
        sys.exit(f"bench: {error}")
