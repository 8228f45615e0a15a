"""Runs one case: which phases it has, and how each contender is measured in them."""
import cases
import measure
import profile_cpu
import rounds
import server as servers
import stats

CONTEXT = ("prefork", "nginx")  # no target concerns their system calls
TRACED_ROUNDS = 3
QUICK_TRACED = ("keep-8", "close-64")  # --quick counts system calls in these cases alone


def _say(name, phase, metric):
    def say(number, entry):
        figures = []
        for who, result in sorted(entry["results"].items()):
            if "error" in result:
                print(f"  {who}: {result['error']}", flush=True)
            elif stats.value(result, metric) is not None:
                figures.append(f"{who} {stats.value(result, metric):.3g}")
        mark = f", noisy: {entry['steal']:.0f} % stolen" if entry["noisy"] else ""
        print(f"  {name} {phase} {number}: {metric} {'  '.join(figures)}{mark}", flush=True)

    return say


class Runner:
    def __init__(self, site, options):
        self.site = site
        self.quick = options.quick
        self.count = options.rounds
        self.seconds = options.seconds

    def run(self, case, contenders):
        """The case's rounds by phase."""
        contenders = case.against(contenders)
        return getattr(self, case.kind)(case, contenders)

    def phase(self, fleet, phase, metric, contenders, work, count=None):
        """The rounds of one phase; work(server) measures one contender."""
        return rounds.run_rounds(contenders, count or self.count, lambda contender: fleet.use(contender, work),
                                 _say(fleet.case.name, phase, metric))

    def load(self, case, contenders):
        chosen = [c for c in contenders if c.name not in CONTEXT]
        with servers.Fleet(self.site, case, contenders) as fleet:
            out = {"free": self.phase(fleet, "free", "cpu_us", contenders,
                                      lambda server: measure.free(server, case, self.seconds)),
                   "apart": self.phase(fleet, "apart", "p99_ms", chosen if self.quick else contenders,
                                       lambda server: measure.apart(server, case, self.seconds))}
            if not self.quick or case.name in QUICK_TRACED:
                out["calls"] = self.phase(fleet, "calls", "calls.total", chosen,
                                          lambda server: measure.traced(server, case, 1),
                                          min(self.count, TRACED_ROUNDS))
        return out

    def growth(self, case, contenders):
        with servers.Fleet(self.site, case, contenders) as fleet:
            return {"growth": self.phase(fleet, "growth", "cpu_growth", contenders,
                                         lambda server: measure.growth(server, case, self.seconds))}

    def mix(self, case, contenders):
        with servers.Fleet(self.site, case, contenders) as fleet:
            return {"free": self.phase(fleet, "free", "rps", contenders,
                                       lambda server: measure.mixed(server, case, self.seconds)),
                    "apart": self.phase(fleet, "apart", "p99_ms", contenders,
                                        lambda server: measure.apart_mixed(server, case, self.seconds))}

    def quiet(self, case, contenders):
        before, seconds = (1, 1) if self.quick else (measure.QUIET_AFTER, 10)
        with servers.Fleet(self.site, case, contenders) as fleet:
            return {"quiet": self.phase(fleet, "quiet", "calls_total", contenders,
                                        lambda server: measure.quiet(server, case, before, seconds), 1)}

    def profile(self, case, contenders):
        if not profile_cpu.available():
            print("  perf can't sample here: left out", flush=True)
            return {}
        with servers.Fleet(self.site, case, contenders) as fleet:
            return {"profile": self.phase(fleet, "profile", "cpu_us", contenders,
                                          lambda server: measure.profiled(server, case, self.seconds), 1)}

    def idle(self, case, contenders):
        count, pace = case.idle, measure.Pace()
        if self.quick:
            count, pace = case.idle // 10, measure.Pace(1, 1, 2)
        elif case.idle < cases.MOST_IDLE:  # for the throughput alone
            pace = measure.Pace(2, 2, 4)
        with servers.Fleet(self.site, case, keep=False) as fleet:
            return {"idle": self.phase(fleet, "idle", "late_kib", contenders,
                                       lambda server: measure.with_idle(server, case, self.seconds, count, pace))}
