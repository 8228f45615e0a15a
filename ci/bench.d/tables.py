"""Tables: for a terminal as a case ends, in Markdown for the report."""
import cases
import profile_cpu
import stats
import targets

# heading, phase, metric, compared with
LOAD = (
    ("CPU us", "free", "cpu_us", None), ("/event", "free", "cpu_us", "event"), ("/worker", "free", "cpu_us", "worker"),
    ("switches", "free", "switches", None), ("req/s", "free", "rps", None), ("/event", "free", "rps", "event"),
    ("p50 ms", "apart", "p50_ms", None), ("p99 ms", "apart", "p99_ms", None), ("/event", "apart", "p99_ms", "event"),
    ("/worker", "apart", "p99_ms", "worker"), ("futex", "calls", "calls.futex", None),
    ("epoll", "calls", "calls.epoll", None), ("others", "calls", "calls.others", None),
    ("failed", "free", "failed", None), ("others %", "free", "others", None),
)
MIX = LOAD[:10] + (("slow/s", "free", "slow.rps", None), ("slow p99", "apart", "slow.p99_ms", None),
                   ("failed", "free", "failed", None), ("others %", "free", "others", None))
IDLE = (
    ("KiB early", "idle", "early_kib", None), ("KiB late", "idle", "late_kib", None),
    ("/event", "idle", "late_kib", "event"), ("idle %", "idle", "idle_cpu_percent", None), ("closed", "idle", "closed", None),
    ("CPU alone", "idle", "without.cpu_us", None), ("beside", "idle", "beside.cpu_us", None),
    ("growth", "idle", "cpu_growth", None), ("/event", "idle", "beside.cpu_us", "event"),
    ("req/s", "idle", "rps", None), ("/event", "idle", "rps", "event"), ("p99 ms", "idle", "p99_ms", None),
    ("failed", "idle", "failed", None), ("others %", "idle", "beside.others", None),
)
GROWTH = (("CPU, few", "growth", "few_us", None), ("CPU, many", "growth", "many_us", None),
          ("growth", "growth", "cpu_growth", None), ("failed", "growth", "failed", None), ("others %", "growth", "others", None))
QUIET = (("calls", "quiet", "calls_total", None), ("seconds", "quiet", "seconds", None))
PROFILE = (("sum", "profile", "cpu_us", None),
           *((place, "profile", f"us.{place}", None) for place in profile_cpu.PLACES))
BY_KIND = {"load": LOAD, "growth": GROWTH, "mix": MIX, "idle": IDLE, "quiet": QUIET, "profile": PROFILE}


def number(figure):
    if figure is None:
        return "-"
    if abs(figure) >= 100:
        return f"{figure:,.0f}"
    return f"{figure:.2f}" if 1 <= abs(figure) < 10 and figure != int(figure) else f"{figure:.3g}"


def cell(phases, name, column):
    """The spread of a column's figures."""
    _, phase, metric, other = column
    rounds = phases.get(phase, [])
    return stats.ratio(rounds, name, other, metric) if other else stats.spread(stats.values(rounds, name, metric))


def middle(spread):
    return number(spread["median"]) if spread else "-"


def with_range(spread):
    """'33.1 (31.0..35.2)', without the range where there is none."""
    if not spread:
        return "-"
    text = number(spread["median"])
    return text if spread["min"] == spread["max"] else f"{text} ({number(spread['min'])}..{number(spread['max'])})"


def of_case(results, name, show=middle):
    """The case's table as rows of text, a heading first."""
    phases = results["cases"][name]
    columns = BY_KIND[cases.BY_NAME[name].kind]
    rows = [["", *(column[0] for column in columns)]]
    for who in results["machine"]["contenders"]:
        if who not in cases.BY_NAME[name].without:
            rows.append([who, *(show(cell(phases, who, column)) for column in columns)])
    return rows


def plain(rows):
    return "\n".join("  " + "".join(f"{text:>10}" for text in row) for row in rows)


def markdown(rows):
    head, *body = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([head, f"| --- |{' ---: |' * (len(rows[0]) - 1)}", *body])


def summary(results, subject):
    """One line for each load: what the subject came to, beside the others' CPU time."""
    names = results["machine"]["contenders"]
    compared = [name for name in dict.fromkeys(("event", "worker", subject)) if name in names]
    head = ["case", *(f"{name} us" for name in names), "CPU /event", "CPU /worker",
            *(f"switches {name}" for name in compared),
            "req/s /event", "p99 /event", "p99 /worker", "failed event", f"failed {subject}"]
    rows = [head]
    for name, phases in results["cases"].items():
        case = cases.BY_NAME[name]
        if case.kind in ("growth", "quiet", "profile"):
            continue
        free, apart, cpu = ("idle", "idle", "beside.cpu_us") if case.kind == "idle" else ("free", "apart", "cpu_us")

        def show(metric, who=subject, other=None, phase=free):
            return middle(cell(phases, who, (None, phase, metric, other)))

        switches = "beside.switches" if case.kind == "idle" else "switches"
        rows.append([case.title, *(show(cpu, who) for who in names), show(cpu, other="event"),
                     show(cpu, other="worker"), *(show(switches, who) for who in compared),
                     show("rps", other="event"), show("p99_ms", other="event", phase=apart),
                     show("p99_ms", other="worker", phase=apart), show("failed", "event"), show("failed")])
    return rows


def short(results, subject):
    """What README.md shows: one line for each load, event / worker / the subject."""
    rows = [["case", "CPU us per request", "context switches per request", "req/s, this / event", "p99 ms",
             "failed requests, event / this"]]
    for name, phases in results["cases"].items():
        case = cases.BY_NAME[name]
        if case.kind in ("growth", "quiet", "profile") or 0 < case.idle < cases.MOST_IDLE:
            continue
        idle = case.kind == "idle"

        def show(metric, who=subject, other=None, phase="idle" if idle else "free"):
            return middle(cell(phases, who, (None, phase, metric, other)))

        def all_of(metric, **more):
            return " / ".join(show(metric, who, **more) for who in ("event", "worker", subject))

        beside = "beside." if idle else ""
        rows.append([case.title, all_of(beside + "cpu_us"), all_of(beside + "switches"), show("rps", other="event"),
                     all_of("p99_ms", phase="idle" if idle else "apart"), f"{show('failed', 'event')} / {show('failed')}"])
    return rows


def of_targets(results, subject):
    rows = [["case", "target", "measured", "met"]]
    for entry in targets.judge(results["cases"], subject):
        rows.append([entry["case"], entry["text"], with_range({**entry, "median": entry["figure"]}),
                     "yes" if entry["met"] else "**no**"])
    return rows
