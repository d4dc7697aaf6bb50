#!/usr/bin/env python3
"""Draws what tutti-bench measured.

    tutti-bench all_reduce -n 2 --vs mpi --min 4 --factor 4 --json private.json
    tutti-bench all_reduce -n 2 --vs mpi --min 4 --factor 4 --json registered.json --registered
    benchmarks/plot.py private.json registered.json -o all_reduce.svg

Lines are medians, shades go from the least to the most over rounds. Where files measured the same thing, the faster one
counts. The suffix of the output decides the format: svg, png, pdf.
"""

import argparse
import json

try:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
except ImportError:
    raise SystemExit("plot.py needs matplotlib: install python3-matplotlib, or pip install matplotlib")

# Okabe and Ito's colours, which colour-blind people tell apart; the markers do without colours.
STYLES = [  # key, colour, marker, line
    ("Tutti, registered buffers", "#0072B2", "o", "-"),
    ("Tutti, private buffers", "#56B4E9", "s", "-"),
    ("tuned", "#D55E00", "^", "-"),
    ("installed", "#E69F00", "v", "-"),
    ("a copy of the buffer", "#777777", "", ":"),
]


def keep(series, name, size, time):
    """Of two measurements of the same, the faster."""
    if time["time_us"] > 0 and (size not in series.setdefault(name, {}) or time["time_us"] < series[name][size]["time_us"]):
        series[name][size] = time


def read(documents):
    """By name, then size: {"time_us", "time_us_min", "time_us_max"}."""
    series = {}
    for document in documents:
        ours = f"Tutti, {document['buffers']} buffers"
        for row in document["rows"]:
            tutti = row if "time_us" in row else row.get("in_place") or row["out_of_place"]
            keep(series, ours, row["size"], tutti)
            if "of_copy" in tutti:
                copy = tutti["of_copy"] * tutti["time_us"]
                keep(series, "a copy of the buffer", row["size"], {"time_us": copy, "time_us_min": copy, "time_us_max": copy})
            for side, name in (("as_it_is", "installed"), ("tuned", "tuned")):
                if row.get(side):
                    keep(series, name, row["size"], row[side])
    return series


def label_of(name, documents):
    peer = next((document["peer"] for document in documents if "peer" in document), "")
    gloo = peer.startswith("Gloo")
    return {"installed": peer if gloo else f"{peer}, as installed", "tuned": f"{peer}, best of its settings"}.get(name, name)


def draw_ratios(documents, title, output):
    """How many times faster Tutti is: each from its own turns, so that the state of the machine cancels out."""
    plt.rcParams.update({"font.size": 11, "font.family": "DejaVu Sans", "axes.spines.top": False, "axes.spines.right": False})
    figure, axes = plt.subplots(figsize=(8.4, 4.9), layout="constrained")
    for document in documents:
        registered = document["buffers"] == "registered"
        colour = "#0072B2" if registered else "#D55E00"
        for side, name, line, marker in (("as_it_is", "as installed", "-", "o"), ("tuned", "in its best setting", "--", "s")):
            points = [(row["size"], row[side]) for row in document["rows"] if row.get(side)]
            sizes = [size for size, _ in points]
            axes.plot(sizes, [p["ratio"] for _, p in points], line, color=colour, marker=marker, markersize=5, linewidth=2,
                      label=f"{document['buffers']} buffers, {document['peer']} {name}")
            axes.fill_between(sizes, [p["ratio_min"] for _, p in points], [p["ratio_max"] for _, p in points], color=colour,
                              alpha=0.12, linewidth=0)
    axes.axhline(1, color="#777777", linewidth=1.2, linestyle=":")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    measured = sorted({row["size"] for document in documents for row in document["rows"]})
    step = -(-len(measured) // 10)
    axes.set_xticks(measured[::step], [size_text(size) for size in measured[::step]])
    axes.tick_params(axis="x", which="minor", bottom=False)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}x")
    axes.grid(True, which="major", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_xlabel("size of a rank's buffer")
    axes.set_ylabel("times faster than Open MPI")
    first = documents[0]
    axes.set_title(title or f"{first['collective']}, {first['dtype']}, {first['ranks']} ranks on one machine", loc="left",
                   fontsize=13, fontweight="bold", pad=24)
    axes.text(0, 1.02, f"{first['machine']['cpu']}, {first['machine']['cores']} cores. By turns on the same ranks, buffers "
              "rewritten before each call.", transform=axes.transAxes, fontsize=9.5, color="#555555")
    figure.legend(frameon=False, loc="outside lower center", ncols=2, fontsize=9.5)
    figure.savefig(output, dpi=150)


def size_text(size):
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            return f"{size:g} {unit}"
        size /= 1024


def time_text(microseconds, _=None):
    for limit, scale, unit in ((1, 1e-3, "ns"), (1e3, 1, "µs"), (1e6, 1e3, "ms"), (float("inf"), 1e6, "s")):
        if microseconds < limit:
            return f"{microseconds / scale:g} {unit}"


def draw(documents, series, bandwidth, title, output):
    plt.rcParams.update({"font.size": 11, "font.family": "DejaVu Sans", "axes.spines.top": False, "axes.spines.right": False})
    figure, axes = plt.subplots(figsize=(8.4, 4.9), layout="constrained")
    for name, colour, marker, line in STYLES:
        points = sorted(series.get(name, {}).items())
        if not points:
            continue
        sizes = [size for size, _ in points]

        def values(key):
            return [size / time[key] / 1e3 if bandwidth else time[key] for size, time in points]

        emphasis = 2.4 if name.startswith("Tutti") else 1.6
        axes.plot(sizes, values("time_us"), line, color=colour, marker=marker, markersize=6, linewidth=emphasis,
                  label=label_of(name, documents))
        axes.fill_between(sizes, values("time_us_min"), values("time_us_max"), color=colour, alpha=0.15, linewidth=0)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    measured = sorted({size for times in series.values() for size in times})
    step = -(-len(measured) // 10)
    axes.set_xticks(measured[::step], [size_text(size) for size in measured[::step]])
    axes.tick_params(axis="x", which="minor", bottom=False)
    axes.yaxis.set_major_formatter((lambda value, _: f"{value:g}") if bandwidth else time_text)
    axes.grid(True, which="major", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_xlabel("size of a rank's buffer")
    axes.set_ylabel("size / time (GB/s)" if bandwidth else "time of a call")
    first = documents[0]
    machine = first["machine"]
    axes.set_title(title or f"{first['collective']}, {first['dtype']}, {first['ranks']} ranks on one machine", loc="left",
                   fontsize=13, fontweight="bold", pad=24)
    axes.text(0, 1.02, f"{machine['cpu']}, {machine['cores']} cores. Buffers rewritten before each call."
              f" {'Higher' if bandwidth else 'Lower'} is better.", transform=axes.transAxes, fontsize=9.5, color="#555555")
    axes.legend(frameon=False, loc="lower right" if bandwidth else "upper left")
    figure.savefig(output, dpi=150)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="FILE", help="from tutti-bench --json; of one collective, type and number of ranks")
    parser.add_argument("-o", "--output", required=True, help="the picture")
    parser.add_argument("--bandwidth", action="store_true", help="GB/s in place of time")
    parser.add_argument("--ratio", action="store_true", help="how many times faster Tutti is than MPI, in place of time")
    parser.add_argument("--title", help="in place of the collective, the type and the ranks")
    arguments = parser.parse_args()
    documents = [json.load(open(file, encoding="utf-8")) for file in arguments.files]
    kinds = {(document.get("collective"), document.get("dtype"), document["ranks"]) for document in documents}
    if len(kinds) > 1:
        parser.error(f"the files are of different things: {sorted(map(str, kinds))}")
    if arguments.ratio:
        draw_ratios(documents, arguments.title, arguments.output)
        return
    draw(documents, read(documents), arguments.bandwidth, arguments.title, arguments.output)


if __name__ == "__main__":
    main()
