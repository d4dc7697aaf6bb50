#!/usr/bin/env python3
"""What including Tutti costs, and how large it is.

Compiles hello worlds that include <tutti/tutti.h> and, in turn, its peers; prints the medians of time and peak memory.
Then the size of libtutti.a (release, CPU only) and of the example mnist, stripped: as it is built, and linked fully
statically without BLAS and MPI.

    benchmarks/footprint.py [--torch INCLUDE_DIRECTORY] [--runs N]

--torch: where libtorch's headers are, e.g. /usr/include with Debian's libtorch-dev.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time

HOME = pathlib.Path(__file__).resolve().parent.parent
HELLO = {
    "tutti/tutti.h": "int main() { std::puts((tutti::ones({2, 2}) + 1.0).str().c_str()); }",
    "Eigen/Dense": 'int main() { std::printf("%g\\n", Eigen::MatrixXf::Ones(2, 2).sum()); }',
    "torch/torch.h": 'int main() { std::printf("%g\\n", torch::ones({2, 2}).sum().item<float>()); }',
}


def compiled(source, flags):
    """Seconds and peak MB of compiling `source`."""
    before = time.perf_counter()
    child = os.posix_spawnp("g++", ["g++", "-O2", "-c", source, "-o", "/dev/null", *flags], os.environ)
    _, status, usage = os.wait4(child, 0)
    if status != 0:
        raise SystemExit(f"{source} does not compile")
    return time.perf_counter() - before, usage.ru_maxrss / 1024


def compile_table(torch, runs):
    flags = {"tutti/tutti.h": ["-std=c++20", f"-I{HOME}/include"], "Eigen/Dense": ["-std=c++20", "-I/usr/include/eigen3"]}
    if torch:
        flags["torch/torch.h"] = ["-std=c++17", f"-I{torch}", f"-I{torch}/torch/csrc/api/include"]
    with tempfile.TemporaryDirectory() as directory:
        measured = {header: [] for header in flags}
        for header in flags:
            source = f"{directory}/{header.replace('/', '_')}.cpp"
            pathlib.Path(source).write_text(f"#include <{header}>\n#include <cstdio>\n{HELLO[header]}\n")
        for _ in range(runs):
            for header in flags:
                measured[header].append(compiled(f"{directory}/{header.replace('/', '_')}.cpp", flags[header]))
    print(f"{'g++ -O2 -c, median (and spread)':<34}{'seconds':>18}{'peak MB':>10}")
    for header, values in measured.items():
        seconds = [value[0] for value in values]
        spread = f"{statistics.median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f})"
        print(f"#include <{header}>".ljust(34) + f"{spread:>18}{statistics.median(value[1] for value in values):>10.0f}")


def build(name, *options):
    directory = HOME / "build" / name
    quiet = {"check": True, "stdout": subprocess.DEVNULL}
    subprocess.run(["cmake", "-S", HOME, "-B", directory, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DTUTTI_TESTS=OFF",
                    "-DTUTTI_CUDA=OFF", *options], **quiet)
    subprocess.run(["cmake", "--build", directory, "--target", "tutti", "tutti_example_mnist"], **quiet)
    return directory


def stripped(program):
    with tempfile.TemporaryDirectory() as directory:
        copy = shutil.copy(program, directory)
        subprocess.run(["strip", copy], check=True)
        return os.path.getsize(copy)


def size_table():
    usual = build("footprint")
    # Debian has no static fmt, so it is compiled in.
    alone = build("footprint-static", "-DTUTTI_BLAS=OFF", "-DTUTTI_MPI=OFF", "-DCMAKE_CXX_FLAGS=-DFMT_HEADER_ONLY")
    static = alone / "mnist-static"
    subprocess.run(["g++", "-O2", "-std=c++20", "-static", "-DFMT_HEADER_ONLY", f"-I{HOME}/include", HOME / "examples/mnist/main.cpp",
                    alone / "libtutti.a", "-lz", "-pthread", "-o", static], check=True)
    for what, size in (
        ("libtutti.a", os.path.getsize(usual / "libtutti.a")),
        ("mnist, stripped", stripped(usual / "examples/mnist")),
        ("mnist, stripped, fully static", stripped(static)),
    ):
        print(f"{what:<34}{size / 1e6:>15.2f} MB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch", help="where libtorch's headers are")
    parser.add_argument("--runs", type=int, default=5, help="compilations of each")
    arguments = parser.parse_args()
    compile_table(arguments.torch, arguments.runs)
    size_table()


if __name__ == "__main__":
    main()
