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


def loads(results):
    """Each case under load, with what shows a contender's median, or that of its ratio to another's."""
    for name, phases in results["cases"].items():
        case = cases.BY_NAME[name]
        if case.kind in ("growth", "quiet", "profile"):
            continue

        def show(metric, who, other=None, phases=phases, idle=case.kind == "idle"):
            phase = "idle" if idle else "apart" if metric == "p99_ms" else "free"
            beside = "beside." if idle and metric in ("cpu_us", "switches") else ""
            return middle(cell(phases, who, (None, phase, beside + metric, other)))

        yield case, show


def summary(results, subject):
    """One line for each load: what the subject came to, beside the others' CPU time."""
    names = results["machine"]["contenders"]
    compared = [name for name in dict.fromkeys(("event", "worker", subject)) if name in names]
    rows = [["case", *(f"{name} us" for name in names), "CPU /event", "CPU /worker",
             *(f"switches {name}" for name in compared),
             "req/s /event", "p99 /event", "p99 /worker", "failed event", f"failed {subject}"]]
    for case, show in loads(results):
        rows.append([case.title, *(show("cpu_us", who) for who in names), show("cpu_us", subject, "event"),
                     show("cpu_us", subject, "worker"), *(show("switches", who) for who in compared),
                     show("rps", subject, "event"), show("p99_ms", subject, "event"),
                     show("p99_ms", subject, "worker"), show("failed", "event"), show("failed", subject)])
    return rows


def short(results, subject):
    """What README.md shows: one line for each load, event / worker / the subject."""
    rows = [["case", "CPU us per request", "context switches per request", "req/s, this / event", "p99 ms",
             "failed requests, event / this"]]
    for case, show in loads(results):
        if 0 < case.idle < cases.MOST_IDLE:
            continue
        cpu, switches, p99 = (" / ".join(show(metric, who) for who in ("event", "worker", subject))
                              for metric in ("cpu_us", "switches", "p99_ms"))
        rows.append([case.title, cpu, switches, show("rps", subject, "event"), p99,
                     f"{show('failed', 'event')} / {show('failed', subject)}"])
    return rows


def of_targets(results, subject):
    rows = [["case", "target", "measured", "met"]]
    for entry in targets.judge(results["cases"], subject):
        rows.append([entry["case"], entry["text"], with_range({**entry, "median": entry["figure"]}),
                     "yes" if entry["met"] else "**no**"])
    return rows
