#include "benchmarks/memory.h"

#include <fmt/format.h>

#include <cstring>
#include <vector>

#include "benchmarks/report.h"
#include "benchmarks/timing.h"

namespace tutti::bench {
namespace {

using Array = std::vector<double>;

struct Kernel {
  const char* name;
  int arrays;  // read or written, as STREAM counts them
  void (*run)(Array& a, Array& b, Array& c);
};

constexpr double scalar = 3;

const Kernel kernels[] = {
    {"copy", 2,
     [](Array& a, Array&, Array& c) { std::memcpy(c.data(), a.data(), a.size() * sizeof(double)); }},
    {"scale", 2,
     [](Array&, Array& b, Array& c) {
       for (std::size_t i = 0; i < b.size(); ++i) b[i] = scalar * c[i];
     }},
    {"add", 3,
     [](Array& a, Array& b, Array& c) {
       for (std::size_t i = 0; i < c.size(); ++i) c[i] = a[i] + b[i];
     }},
    {"triad", 3,
     [](Array& a, Array& b, Array& c) {
       for (std::size_t i = 0; i < a.size(); ++i) a[i] = b[i] + scalar * c[i];
     }},
};

// GB/s of all ranks that run it together.
Spread bandwidth(Communicator& comm, const Settings& settings, const Kernel& kernel, bool all,
                 Array (&arrays)[3]) {
  const bool takes_part = all || comm.rank() == 0;
  const Contestant contestant{.prepare = [] {},
                              .call =
                                  [&] {
                                    if (takes_part) kernel.run(arrays[0], arrays[1], arrays[2]);
                                  },
                              .together = false,
                              .takes_part = takes_part};
  const auto bytes = arrays[0].size() * sizeof(double);
  auto rounds = by_turns(comm, settings, bytes, {&contestant, 1})[0];
  const double moved = static_cast<double>(bytes) * kernel.arrays * (all ? comm.size() : 1);
  for (auto& seconds : rounds) seconds = moved / seconds / 1e9;
  return spread_of(rounds);
}

}  // namespace

int measure_memory(Communicator& comm, const Settings& settings) {
  auto document = describe(comm, settings);
  document["array_bytes"] = settings.max_bytes;
  const bool speaks = comm.rank() == 0;
  if (speaks) {
    fmt::print(
        "# tutti-bench {} memory: {} ranks, arrays of {} bytes, median of {} rounds, bytes as STREAM "
        "counts\n",
        document["tutti"].get<std::string>(), comm.size(), settings.max_bytes, settings.rounds);
    fmt::print("# a cache line from rank 0 to rank 1: {}\n", latency_text(document["line_latency_ns"]));
    fmt::print("# {:>6} {:>6} {:>8} {:>20}\n", "loop", "ranks", "GB/s", "(least to most)");
  }
  const Array array(settings.max_bytes / sizeof(double), 1.0);
  Array arrays[] = {array, array, array};
  for (const bool all : {false, true}) {
    if (all && comm.size() == 1) continue;
    for (const auto& kernel : kernels) {
      const auto spread = bandwidth(comm, settings, kernel, all, arrays);
      const int ranks = all ? comm.size() : 1;
      nlohmann::json row{{"loop", kernel.name}, {"ranks", ranks}};
      put(row, "gb_s", spread);
      document["rows"].push_back(row);
      if (speaks)
        fmt::print("  {:>6} {:>6} {:>8.2f} {:>20}\n", kernel.name, ranks, spread.median, spread_text(spread));
    }
  }
  if (speaks && !settings.json.empty()) write_document(settings.json, document);
  return 0;
}

}  // namespace tutti::bench
