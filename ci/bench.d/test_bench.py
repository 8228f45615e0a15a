"""Tests of the bench itself: what reads other programs' output, and what judges the figures."""
import os
import re
import subprocess
import sys
import unittest
from pathlib import Path

import calls
import cases
import load
import measure
import proc
import profile_cpu
import rounds
import server
import stats
import tables
import targets

WRK = """\
Running 3s test @ http://127.0.0.1:20000/small
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.33ms    2.59ms  16.98ms   70.22%
    Req/Sec    28.80k     2.57k   31.01k    60.00%
  Latency Distribution
     50%  830.00us
     75%    3.18ms
     90%    4.22ms
     99%    1.02s
  86400 requests in 3.00s, 20.10MB read
  Socket errors: connect 1, read 6831, write 2, timeout 3
  Non-2xx or 3xx responses: 4
Requests/sec:  28800.25
Transfer/sec:      6.63MB
"""

H2LOAD = """\
starting benchmark...
spawning thread #0: 20 total client(s). Timing-based test with 0s of warm-up time and 1s of main duration for measurements.
Main benchmark duration is over for thread #0. Stopping all clients.

finished in 1.00s, 12862.00 req/s, 1.62MB/s
requests: 12862 total, 13062 started, 12862 done, 12859 succeeded, 3 failed, 1 errored, 2 timeout
status codes: 12860 2xx, 0 3xx, 1 4xx, 1 5xx
traffic: 1.62MB (1698700) total, 301.50KB (308736) headers (space savings 90.00%), 163.29KB (167206) data
                     min         max         mean         sd        +/- sd
time for request:      512us     68.24ms     15.44ms      8.91ms    69.11%
"""


SAMPLES = """
	ffffffff81 tcp_sendmsg ([kernel.kallsyms])
	ffffffff82 do_writev ([kernel.kallsyms])
	ffffffff83 do_syscall_64 ([kernel.kallsyms])
	     1019b3 writev (/usr/lib/x86_64-linux-gnu/libc.so.6)

	ffffffff81 finish_task_switch ([kernel.kallsyms])
	ffffffff82 schedule ([kernel.kallsyms])
	ffffffff83 __x64_sys_futex ([kernel.kallsyms])

	ffffffff81 schedule ([kernel.kallsyms])
	ffffffff82 exit_to_user_mode_loop ([kernel.kallsyms])
	ffffffff83 do_syscall_64 ([kernel.kallsyms])

	ffffffff81 do_syscall_64 ([kernel.kallsyms])
	ffffffff82 entry_SYSCALL_64_after_hwframe ([kernel.kallsyms])

	ffffffff81 handle_softirqs ([kernel.kallsyms])
	ffffffff82 asm_sysvec_apic_timer_interrupt ([kernel.kallsyms])
	      27599 turn (/usr/lib/apache2/modules/mod_mpm_rust_event.so)

	      27599 turn (/tmp/mod_mpm_rust_event.so)

	      5e4ed ap_core_output_filter (/usr/sbin/apache2)

	      22ac1 apr_pool_create_ex (/usr/lib/x86_64-linux-gnu/libapr-1.so.0.7.2)

	          0 [unknown] ([unknown])
"""


class Profile(unittest.TestCase):
    def test_each_sample_has_one_place(self):
        found = {where: round(share * 9) for where, share in profile_cpu.shares(SAMPLES).items() if share}
        wanted = ("writev", "futex", profile_cpu.ON_RETURN, profile_cpu.BORDER, profile_cpu.INTERRUPT, "MPM", "httpd", "APR",
                  profile_cpu.ELSEWHERE)
        self.assertEqual(found, dict.fromkeys(wanted, 1))

    def test_no_samples(self):
        with self.assertRaises(profile_cpu.ProfileError):
            profile_cpu.shares("")


class Load(unittest.TestCase):
    def test_units(self):
        for text, ms in (("830.00us", 0.83), ("2.33ms", 2.33), ("1.02s", 1020), ("2.00m", 120000)):
            self.assertAlmostEqual(load.to_ms(text), ms)
        for text in ("830", "1.2.3", "2 ms", "nan"):
            with self.assertRaises((load.LoadError, ValueError), msg=text):
                load.to_ms(text)

    def test_wrk(self):
        out = load.parse_wrk(WRK)
        self.assertEqual((out["requests"], out["rps"], out["failed"]), (86400, 28800.25, 6841))
        self.assertEqual(out["failures"], {"connect": 1, "read": 6831, "write": 2, "timeout": 3, "status": 4})
        self.assertAlmostEqual(out["p50_ms"], 0.83)
        self.assertAlmostEqual(out["p99_ms"], 1020)

    def test_wrk_without_failures(self):
        text = "".join(line for line in WRK.splitlines(True) if "errors" not in line and "Non-2xx" not in line)
        self.assertEqual(load.parse_wrk(text)["failed"], 0)

    def test_wrk_that_failed(self):
        with self.assertRaises(load.LoadError):
            load.parse_wrk("unable to connect to 127.0.0.1:1 Connection refused\n")

    def test_h2load(self):
        out = load.parse_h2load(H2LOAD)
        self.assertEqual((out["requests"], out["rps"]), (12859, 12862.0))
        self.assertEqual(out["failed"], 3 + 2 + 2)

    def test_h2load_that_failed(self):
        with self.assertRaises(load.LoadError):
            load.parse_h2load("starting benchmark...\nclient could not connect to host\n")

    def test_h2load_log(self):
        rows = [f"1700000000{number}\t200\t{number * 1000}" for number in range(100, 0, -1)]
        out = load.parse_h2load_log("\n".join([*rows, "1700000000\t-1\t9999999", ""]))
        self.assertEqual((out["p50_ms"], out["p99_ms"]), (50, 99))
        self.assertEqual(load.parse_h2load_log(""), {})

    def test_percentiles(self):
        self.assertEqual([load.percentile([7], percent) for percent in (50, 99)], [7, 7])
        self.assertEqual(load.percentile([1, 2, 3, 4], 50), 2)

    def test_commands(self):
        close = load.command(cases.BY_NAME["close-64"], 1, 3)
        self.assertIn("Connection: close", close)
        self.assertEqual(close[-1], "http://127.0.0.1:1/small")
        self.assertEqual(load.command(cases.BY_NAME["tls-64"], 1, 3)[-1], "https://127.0.0.1:1/small")
        self.assertEqual(load.command(cases.BY_NAME["h2c"], 1, 3)[:4], ["h2load", "-t1", "-c20", "-m10"])


class Proc(unittest.TestCase):
    def test_stat_counts_from_the_last_parenthesis(self):
        numbers = "S 1 2 3 0 -1 4194560 10 20 30 40 500 60 7 8 20 0 27 0 12345"
        for name in ("apache2", "a b) (c 1 2", "R) S 9 9 9"):
            self.assertAlmostEqual(proc.parse_stat(f"4711 ({name}) {numbers}\n"), 575e6 / proc.TICK)

    def test_switches(self):
        text = "Name:\tapache2\nvoluntary_ctxt_switches:\t120\nnonvoluntary_ctxt_switches:\t7\n"
        self.assertEqual(proc.parse_switches(text), 127)
        self.assertEqual(proc.parse_switches(""), 0)

    def test_pss(self):
        self.assertEqual(proc.parse_pss("Rss:  9000 kB\nPss:   1234 kB\nPss_Anon:  1000 kB\nPss_File:  234 kB\n"), 1234)

    def test_host(self):
        spent = proc.parse_host("cpu  100 10 50 800 5 0 20 15 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\n")
        self.assertAlmostEqual(spent["steal"] * proc.TICK, 15)
        self.assertAlmostEqual(sum(spent.values()) * proc.TICK, 1000)

    def test_family_and_its_cpu_time(self):
        child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        try:
            self.assertIn(child.pid, proc.family(os.getpid()))
            before = proc.Snapshot(child.pid)
            while not proc.Snapshot(child.pid).since(before)["cpu_us"]:
                self.assertIsNone(child.poll())
        finally:
            child.kill()
            child.wait()

    def test_threads_that_come_and_go(self):
        old, new = proc.Snapshot(0), proc.Snapshot(0)
        old.switches, new.switches = {1: 10, 2: 500}, {1: 15, 3: 4}
        old.cpu_us, new.cpu_us = 100.0, 350.0
        self.assertEqual(new.since(old), {"cpu_us": 250.0, "switches": 9})


class Calls(unittest.TestCase):
    def test_perf(self):
        text = ("# started on Thu Jan  1 00:00:00 1970\n\n300,,raw_syscalls:sys_enter,22,100.00,,\n"
                "40,,syscalls:sys_enter_futex,22,100.00,,\n20,,syscalls:sys_enter_epoll_wait,22,100.00,,\n"
                "<not counted>,,syscalls:sys_enter_poll,0,100.00,,\n<not supported>,,syscalls:sys_enter_x,0,100.00,,\n")
        counts = calls.parse_perf(text)
        self.assertEqual(counts, {"total": 300, "futex": 40, "epoll_wait": 20, "poll": 0})
        self.assertEqual(calls.by_kind(counts, 100),
                         {"futex": 0.4, "epoll": 0.2, "others": 2.4, "rest": 2.6, "total": 3.0})

    def test_strace(self):
        text = ("% time     seconds  usecs/call     calls    errors syscall\n"
                "------ ----------- ----------- --------- --------- ----------------\n"
                " 60.00    0.012000          12      1000       100 futex\n"
                " 40.00    0.008000           8       500           epoll_wait\n"
                "------ ----------- ----------- --------- --------- ----------------\n"
                "100.00    0.020000          13      1500       100 total\n")
        self.assertEqual(calls.parse_strace(text), {"total": 1500, "futex": 1000, "epoll_wait": 500})
        self.assertEqual(calls.parse_strace(""), {"total": 0})


def entries(**figures):
    """Rounds from lists of figures by contender."""
    length = max(len(found) for found in figures.values())
    return [{"results": {who: {"cpu_us": found[number]} if found[number] is not None else {"error": "x"}
                         for who, found in figures.items()}} for number in range(length)]


class Figures(unittest.TestCase):
    def test_ratios_are_paired(self):
        # both sides slow down together: each round says one half, the medians would too only by luck
        found = stats.ratio(entries(rust=[10, 50, 20], event=[20, 100, 30]), "rust", "event", "cpu_us")
        self.assertEqual((found["median"], found["n"]), (0.5, 3))
        self.assertAlmostEqual(found["max"], 2 / 3)

    def test_rounds_without_a_figure_are_left_out(self):
        found = stats.ratio(entries(rust=[10, None, 30], event=[20, 40, None]), "rust", "event", "cpu_us")
        self.assertEqual((found["median"], found["n"]), (0.5, 1))
        self.assertIsNone(stats.ratio(entries(rust=[1], event=[None]), "rust", "event", "cpu_us"))
        self.assertIsNone(stats.ratio(entries(rust=[1], event=[0]), "rust", "event", "cpu_us"))

    def test_nested_metrics(self):
        self.assertEqual(stats.value({"calls": {"futex": 0.0}}, "calls.futex"), 0.0)
        self.assertIsNone(stats.value({"error": "x"}, "calls.futex"))
        self.assertIsNone(stats.value(None, "cpu_us"))

    def test_targets_name_real_cases_and_phases(self):
        for target in targets.TARGETS:
            kind = cases.BY_NAME[target.case].kind
            self.assertIn((target.phase, target.metric), {column[1:3] for column in tables.BY_KIND[kind]} |
                          {("calls", "calls.rest")}, target.text())
            self.assertTrue(target.text())

    def test_judging(self):
        found = {"keep-32": {"free": entries(rust=[30, 30], event=[50, 50], worker=[30, 30])},
                 "keep-256": {"free": entries(rust=[34, 34], event=[50, 50], worker=[40, 40])}}
        met = {(entry["case"], entry["text"]): entry["met"] for entry in targets.judge(found, "rust")}
        self.assertEqual(met, {
            ("keep-32", "CPU per request / event's <= 0.7"): True,
            ("keep-256", "CPU per request / event's <= 0.62"): False,
            ("keep-32", "CPU per request / worker's <= 0.95"): False,
            ("keep-256", "CPU per request / worker's <= 0.95"): True,
        })

    def test_growth_is_taken_over_the_middle_and_the_ends(self):
        figures = iter(((20, 0, 1), (26, 1, 2), (30, 2, None), (30, 0, 0)))
        real, measure.free = measure.free, lambda *_: dict(zip(("cpu_us", "failed", "others"), next(figures)))
        try:
            found = measure.growth(None, cases.BY_NAME["growth"], 1)
        finally:
            measure.free = real
        self.assertEqual((found["few_us"], found["many_us"], found["cpu_growth"]), (25, 28, 28 / 25))
        self.assertEqual((found["failed"], found["others"]), (3, 2))

    def test_one_failed_request_misses(self):
        runs = [{"results": {"rust": {"failed": failed}}} for failed in (0, 0, 1)]
        judged = targets.judge({"keep-64": {"free": runs}}, "rust")
        self.assertEqual([(entry["figure"], entry["met"]) for entry in judged], [(1, False)])


class Short(unittest.TestCase):
    def test_a_line_has_the_medians_of_three(self):
        def entry(factor):
            free = {"cpu_us": 40, "switches": 2, "rps": 100, "failed": 7}
            return {"results": {who: {key: share * factor * figure for key, figure in free.items()}
                                for who, share in (("event", 1), ("worker", .5), ("rust", .25))}}

        apart = [{"results": {"event": {"p99_ms": 3}, "rust": {"p99_ms": 2}}}]
        phases = {"free": [entry(factor) for factor in (1, 2, 9)], "apart": apart}
        results = {"cases": {"keep-8": phases, "idle-1000": {}, "quiet": {}}}
        _, row = tables.short(results, "rust")
        self.assertEqual(row, ["8 keep-alive clients", "80 / 40 / 20", "4 / 2 / 1", "0.25", "3 / - / 2", "14 / 3.50"])

    def test_idle_connections_are_measured_beside_the_load(self):
        idle = {"beside": {"cpu_us": 20, "switches": 3}, "without": {"cpu_us": 99}, "rps": 10, "p99_ms": 5, "failed": 0}
        results = {"cases": {"idle-10000": {"idle": [{"results": {"event": idle, "rust": idle}}]}}}
        _, row = tables.short(results, "rust")
        self.assertEqual(row[1:], ["20 / - / 20", "3 / - / 3", "1", "5 / - / 5", "0 / 0"])

    def test_the_readme_has_what_the_report_says(self):
        root = Path(__file__).parents[2]
        readme = (root / "README.md").read_text(encoding="utf-8")
        reports = set(re.findall(r"ci/bench\.d/[\w-]+/report\.md", readme))
        self.assertEqual(len(reports), 1, "README.md names one report")
        report = (root / reports.pop()).read_text(encoding="utf-8")
        table = re.search(r"^### In short.*?\n\n(.*?)\n\n", report, re.M | re.S)[1]
        self.assertIn(table, readme)


class Rounds(unittest.TestCase):
    def run_with(self, steals, count=1, measure=lambda contender: {"cpu_us": 1}):
        """run_rounds with a host that steals so much, round by round."""
        steals, host = iter(steals), proc.host_since
        proc.host_since = lambda _: {"steal": next(steals)}
        try:
            return rounds.run_rounds([server.Contender("a"), server.Contender("b")], count, measure, lambda *_: None)
        finally:
            proc.host_since = host

    def test_rotation(self):
        self.assertEqual([rounds.rotated([1, 2, 3], by) for by in range(4)],
                         [[1, 2, 3], [2, 3, 1], [3, 1, 2], [1, 2, 3]])
        seen = []
        self.run_with([0, 0], 2, lambda contender: seen.append(contender.name) or {})
        self.assertEqual(seen, ["a", "b", "b", "a"])

    def test_a_noisy_round_is_repeated(self):
        entry, = self.run_with([9, 1])
        self.assertEqual((entry["steal"], entry["noisy"], [again["steal"] for again in entry["repeated"]]), (1, False, [9]))

    def test_but_not_for_ever(self):
        entry, = self.run_with([9, 7, 8])
        self.assertEqual((entry["steal"], entry["noisy"], len(entry["repeated"])), (7, True, 2))

    def test_what_fails_is_recorded(self):
        def fails(contender):
            if contender.name == "a":
                raise load.LoadError("no")
            return {}

        entry, = self.run_with([0], 1, fails)
        self.assertEqual(entry["results"], {"a": {"error": "no"}, "b": {}})


if __name__ == "__main__":
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
    outcome = unittest.TextTestRunner(stream=sys.stdout).run(suite)
    bad = len(outcome.failures) + len(outcome.errors)
    print(f"{outcome.testsRun - bad} passed, {bad} failed")
    sys.exit(bad > 0)
