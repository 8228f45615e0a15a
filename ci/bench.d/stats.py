"""Medians, spreads, and ratios paired by round."""
from statistics import median


def value(sample, metric):
    """A figure of a sample, None where there is none. `a.b` looks into a["b"]."""
    for part in metric.split("."):
        if not isinstance(sample, dict):
            return None
        sample = sample.get(part)
    return sample


def values(rounds, name, metric):
    found = (value(entry["results"].get(name), metric) for entry in rounds)
    return [figure for figure in found if figure is not None]


def spread(figures):
    """{"median", "min", "max", "n"}, None without figures."""
    if not figures:
        return None
    return {"median": median(figures), "min": min(figures), "max": max(figures), "n": len(figures)}


def paired(rounds, name, other, metric, combine):
    """combine(a, b) of the two contenders' figures in each round that has both."""
    out = []
    for entry in rounds:
        a, b = (value(entry["results"].get(who), metric) for who in (name, other))
        if a is not None and b is not None:
            figure = combine(a, b)
            if figure is not None:
                out.append(figure)
    return out


def ratio(rounds, name, other, metric):
    return spread(paired(rounds, name, other, metric, lambda a, b: a / b if b else None))


def difference(rounds, name, other, metric):
    return spread(paired(rounds, name, other, metric, lambda a, b: a - b))
