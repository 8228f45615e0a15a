"""results.json and report.md."""
import json

import cases
import plots
import tables
import targets


def write(results, out):
    with open(out / "results.json", "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1)


def subjects(results):
    """The contenders that have targets: all builds of this module, the first of them counts."""
    others = (*cases.STOCK, cases.NGINX)
    found = [name for name in results["machine"]["contenders"] if name not in others]
    return sorted(found, key=lambda name: name != cases.OURS)


def all_rounds(results):
    """(case, phase, number, round) of everything."""
    for name, phases in results["cases"].items():
        for phase, rounds in phases.items():
            for number, entry in enumerate(rounds, 1):
                yield name, phase, number, entry


def errors(results):
    return [f"{name}, {phase}, round {number}: {who}: {result['error']}"
            for name, phase, number, entry in all_rounds(results)
            for who, result in entry["results"].items() if "error" in result]


def noise(results):
    """What disturbed the run, in sentences."""
    out, steal, others = [], [0.0], [0.0]
    for name, phase, number, entry in all_rounds(results):
        steal.append(entry["steal"])
        others += [result["others"] for result in entry["results"].values() if result.get("others") is not None]
        if entry["noisy"]:
            out.append(f"{name}, {phase}, round {number}: the host stole {entry['steal']:.1f} %, repetitions included.")
    repeated = sum(len(entry["repeated"]) for *_, entry in all_rounds(results))
    out.insert(0, f"The host stole at most {max(steal):.1f} % of a round that counts; {repeated} rounds were repeated. "
                  f"Other processes used {sum(others) / len(others):.1f} % of the machine on average, "
                  f"{max(others):.1f} % at most.")
    return out


def machine(results):
    about = results["machine"]
    length = f"{about['rounds']} round{'s' * (about['rounds'] != 1)} of {about['seconds']} s"
    quick = ", QUICK: a smoke test with a tenth of the idle connections" if about["quick"] else ""
    lines = [f"{about['date']}, {length}{quick}",
             f"{about['cpu']}, {about['cores']} cores{' of a virtual machine' if about['virtual'] else ''}, "
             f"{about['memory_mib']:,} MiB; {about['system']}, Linux {about['kernel']}",
             f"{about['apache']}; this module at {about['commit'] or 'an unknown commit'}"]
    tools = {result["tool"] for *_, entry in all_rounds(results) for result in entry["results"].values()
             if "tool" in result}
    lines += [f"system calls counted by {' and '.join(sorted(tools))}"] if tools else []
    lines += [f"{name}: {file}" for name, file in about["modules"].items()]
    return "\n".join(f"- {line}" for line in lines)


def text(results, drawn):
    parts = ["# Benchmark", machine(results), "Medians of all rounds; ratios are taken within a round. CPU time, switches "
             "and throughput: load generator and server on all cores. p99: the load generator on a core of its own, idle "
             "connections excepted; worker and prefork keep clients beyond their 50 threads waiting, who are not in it. "
             "KiB: proportional set size of all processes, per idle connection."]
    for subject in subjects(results):
        parts += [f"## {subject}", tables.markdown(tables.summary(results, subject))]
        if {"event", "worker"} <= set(results["machine"]["contenders"]):
            parts += ["### In short: event / worker / this", tables.markdown(tables.short(results, subject))]
        judged = targets.judge(results["cases"], subject)
        if judged:
            met = sum(entry["met"] for entry in judged)
            parts += [f"### Targets: {met} met, {len(judged) - met} missed",
                      tables.markdown(tables.of_targets(results, subject))]
    if drawn:
        parts += ["## Plots", "\n".join(f"![{title}]({name})" for name, title in drawn)]
    parts += ["## All figures", "Medians, in brackets the range over the rounds. futex, epoll and others are system "
              "calls per request; others % is what other processes took of the machine."]
    for name in results["cases"]:
        parts += [f"### {name}: {cases.BY_NAME[name].title}",
                  tables.markdown(tables.of_case(results, name, tables.with_range))]
    parts += ["## Noise", "\n".join(f"- {line}" for line in noise(results))]
    if errors(results):
        parts += ["## Not measured", "\n".join(f"- {' '.join(line.split())}" for line in errors(results))]
    return "\n\n".join(parts) + "\n"


def finish(results, out):
    """Writes the report; the exit code."""
    drawn = plots.draw(results, out)
    judged = {subject: targets.judge(results["cases"], subject) for subject in subjects(results)}
    results["targets"] = judged
    write(results, out)
    (out / "report.md").write_text(text(results, drawn), encoding="utf-8")
    for subject, entries in judged.items():
        for entry in entries:
            if not entry["met"]:
                print(f"missed - {subject}, {entry['case']}: {entry['text']}: {tables.number(entry['figure'])}")
    failures = errors(results)
    for line in failures:
        print(f"not measured - {line}")
    print(f"report: {out}/report.md")
    first = next(iter(judged.values()), [])
    met = sum(entry["met"] for entry in first)
    print(f"{met} targets met, {len(first) - met} missed")
    return 1 if failures else 0
