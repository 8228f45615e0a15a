"""Plots as SVG, readable on white and on dark ground."""
import cases
import stats

GREY = "#7d8590"
COLOURS = {"rust": "#e5484d", "event": "#e08a00", "worker": "#3b8eea", "prefork": "#9a6fd0", "nginx": "#3fa34d"}
SPARE = ("#d858a8", "#00a3a3", "#b59a00", "#8d6e63")  # for other builds
MARKERS = "osD^vPX*<"


def _pyplot():
    try:
        import matplotlib
    except ImportError:
        print("no plots: python3-matplotlib is missing")
        return None
    matplotlib.use("svg")
    from matplotlib import pyplot
    pyplot.rcParams.update({
        "svg.hashsalt": "bench", "svg.fonttype": "none", "font.size": 11, "figure.figsize": (7, 4.2),
        "savefig.transparent": True, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
        "axes.axisbelow": True, "grid.alpha": 0.3, "legend.frameon": False,
        **{key: GREY for key in ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color",
                                 "grid.color")},
    })
    return pyplot


def styles(names):
    """Colour and marker of each contender, the same in all plots."""
    spare = iter(SPARE * 4)
    return {name: {"color": COLOURS.get(name) or next(spare), "marker": MARKERS[number % len(MARKERS)]}
            for number, name in enumerate(names)}


def by_clients(results, phase, metric):
    """{contender: [(clients, spread)]} of the keep-alive cases."""
    out = {}
    for name, phases in results["cases"].items():
        if name.startswith("keep-"):
            for who in results["machine"]["contenders"]:
                found = stats.spread(stats.values(phases.get(phase, []), who, metric))
                if found:
                    out.setdefault(who, []).append((cases.BY_NAME[name].clients, found))
    return {who: sorted(points, key=lambda point: point[0]) for who, points in out.items()}


def by_idle(results):
    """{contender: [(idle connections, spread of the throughput beside them)]}, 0 included."""
    out = {}
    alone = {}
    for phases in results["cases"].values():
        rounds = phases.get("idle", [])
        for who in results["machine"]["contenders"]:
            found = stats.spread(stats.values(rounds, who, "rps"))
            if found:
                out.setdefault(who, []).append((stats.values(rounds, who, "count")[0], found))
                alone.setdefault(who, []).extend(stats.values(rounds, who, "without.rps"))
    return {who: sorted([(0, stats.spread(alone[who])), *points], key=lambda point: point[0])
            for who, points in out.items()}


def lines(pyplot, series, style, labels, logarithmic):
    """A figure with a line for each contender, its range over the rounds as bars."""
    figure, axes = pyplot.subplots()
    for who, points in series.items():
        x = [point[0] for point in points]
        y = [point[1]["median"] for point in points]
        error = [[max(0, point[1]["median"] - point[1]["min"]) for point in points],
                 [max(0, point[1]["max"] - point[1]["median"]) for point in points]]
        axes.errorbar(x, y, yerr=error, label=who, capsize=2, elinewidth=0.8, linewidth=1.8, markersize=5, **style[who])
    ticks = sorted({point[0] for points in series.values() for point in points})
    if "x" in logarithmic:
        axes.set_xscale("log", base=2)
    if "y" in logarithmic:
        axes.set_yscale("log", subs=[])
        axes.yaxis.set_major_locator(pyplot.matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
    else:
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1])
    axes.legend(ncols=len(series), loc="lower center", bbox_to_anchor=(0.5, 1.0), columnspacing=1.2, handletextpad=0.4)
    return figure


def memory(pyplot, results, style):
    """Bars: KiB for each idle connection, early and late, of the case with most of them."""
    most = max((name for name, phases in results["cases"].items() if phases.get("idle")),
               key=lambda name: cases.BY_NAME[name].idle, default=None)
    if most is None:
        return None
    rounds = results["cases"][most]["idle"]
    names = [who for who in results["machine"]["contenders"] if stats.values(rounds, who, "late_kib")]
    if not names:
        return None
    figure, axes = pyplot.subplots()
    width = 0.38
    for shift, metric, alpha, label in ((-1, "early_kib", 0.45, "early"), (1, "late_kib", 1.0, "late")):
        found = [stats.spread(stats.values(rounds, who, metric))["median"] for who in names]
        places = [place + shift * width / 2 for place in range(len(names))]
        bars = axes.bar(places, found, width, color=[style[who]["color"] for who in names], alpha=alpha, label=label)
        axes.bar_label(bars, fmt="%.1f", fontsize=9, color=GREY)
    axes.set_xticks(range(len(names)), names)
    axes.grid(axis="x", visible=False)
    count = stats.values(rounds, names[0], "count")[0]
    axes.set_ylabel(f"KiB per connection, of {count:,}")
    axes.set_xlabel("pale: a few seconds after the last request; full: 15 s later")
    return figure


def draw(results, out):
    """Writes the plots for which there are figures: [(file name, title)]."""
    pyplot = _pyplot()
    if not pyplot:
        return []
    style = styles(results["machine"]["contenders"])
    clients = "keep-alive clients"
    wanted = (
        ("cpu.svg", "CPU per request against clients", by_clients(results, "free", "cpu_us"),
         (clients, "CPU per request, \N{MICRO SIGN}s"), "x"),
        ("p99.svg", "p99 against clients", by_clients(results, "apart", "p99_ms"), (clients, "p99 latency, ms"), "xy"),
        ("idle.svg", "throughput against idle connections", by_idle(results),
         ("idle connections beside 64 active clients", "requests per second"), ""),
    )
    drawn = [(name, title, lines(pyplot, series, style, labels, logarithmic))
             for name, title, series, labels, logarithmic in wanted
             if any(len(points) > 1 for points in series.values())]
    bars = memory(pyplot, results, style)
    if bars:
        drawn.append(("memory.svg", "memory per idle connection", bars))
    for name, title, figure in drawn:
        figure.tight_layout()
        figure.savefig(out / name, metadata={"Date": None, "Title": title})
        pyplot.close(figure)
    return [(name, title) for name, title, _ in drawn]
