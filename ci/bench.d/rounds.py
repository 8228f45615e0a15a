"""Interleaved rounds: A B C D, B C D A, ...; one in which the host stole too much is repeated."""
import load
import proc
import server as servers

STEAL_LIMIT = 5.0  # percent of all cores' time
REPEATS = 2  # of one round


def rotated(items, by):
    by %= max(len(items), 1)
    return items[by:] + items[:by]


def one_round(contenders, measure):
    """Each contender once: its figures, or {"error": why}, by name; and the host's steal."""
    host = proc.host()
    results = {}
    for contender in contenders:
        try:
            results[contender.name] = measure(contender)
        except (load.LoadError, servers.ServerError, OSError) as error:
            results[contender.name] = {"error": f"{error}"}
    return results, proc.host_since(host)["steal"]


def run_rounds(contenders, count, measure, say):
    """`count` rounds as a list of {"results", "steal", "noisy", "repeated"}."""
    out = []
    for number in range(count):
        order = rotated(contenders, number)
        best, repeated = None, []
        for _ in range(1 + REPEATS):
            results, steal = one_round(order, measure)
            if best is None or steal < best["steal"]:
                repeated += [best] if best else []
                best = {"results": results, "steal": steal}
            else:
                repeated.append({"results": results, "steal": steal})
            if best["steal"] <= STEAL_LIMIT:
                break
        best.update(noisy=best["steal"] > STEAL_LIMIT, repeated=repeated)
        out.append(best)
        say(number + 1, best)
    return out
