#include "benchmarks/manifest.h"

#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "benchmarks/machine.h"
#include "benchmarks/report.h"
#include "benchmarks/timing.h"
#include "checkpoint/checksum.h"
#include "checkpoint/manifest.h"
#include "tutti/core/version.h"

namespace tutti::bench {
namespace {

constexpr double most_ms = 1000;  // the bar

checkpoint::Manifest make(const ManifestSettings& given) {
  const auto ranks = static_cast<std::int64_t>(given.files);
  checkpoint::Manifest manifest;
  manifest.uuid = checkpoint::digest("tutti-bench");
  manifest.steps = 1'000'000;
  manifest.world_size = manifest.logical_ranks = ranks;
  manifest.tutti_version = version();
  const Shape shape{5120, 5120};
  const std::int64_t bytes = shape.numel() * 4;
  const std::int64_t share = (static_cast<std::int64_t>(given.tensors) * bytes / ranks + 64) / 64 * 64;
  for (std::size_t i = 0; i < given.tensors; ++i) {
    manifest.tensors.push_back({fmt::format("optimizer.exp_avg.transformer.h.{}.mlp.c_fc.weight", i),
                                DType::f32,
                                shape,
                                -1,
                                {static_cast<std::int64_t>(i) * bytes, share}});
  }
  for (std::size_t i = 0; i < given.files; ++i) {
    manifest.files.push_back({fmt::format("shard-{:05}-of-{:05}.safetensors", i, given.files), "",
                              static_cast<std::uint64_t>(share) + 500'000, 500'000,
                              checkpoint::digest(std::to_string(i))});
  }
  return manifest;
}

template <typename Action>
double milliseconds(const Action& action) {
  const auto begin = std::chrono::steady_clock::now();
  action();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

int measure_manifest(const Settings& settings, const ManifestSettings& given) {
  const auto manifest = make(given);
  std::string text;
  checkpoint::Manifest parsed;
  std::vector<double> writing, parsing;
  for (int round = 0; round < settings.rounds; ++round) {
    writing.push_back(milliseconds([&] { text = text_of(manifest); }));
    parsing.push_back(milliseconds([&] { parsed = checkpoint::parse_manifest(text, "manifest.json"); }));
  }
  const bool same = text_of(parsed) == text;
  nlohmann::json document{
      {"tutti", version()},   {"machine", describe_machine()}, {"tensors", given.tensors},
      {"files", given.files}, {"rounds", settings.rounds},     {"manifest_bytes", text.size()},
      {"same", same}};
  fmt::print("# tutti-bench {} manifest: {} tensors in {} files, {} bytes; median of {} rounds\n", version(),
             given.tensors, given.files, text.size(), settings.rounds);
  for (const auto& [name, values] : {std::pair{"written", writing}, std::pair{"parsed", parsing}}) {
    const auto spread = spread_of(values);
    put(document, fmt::format("{}_ms", name), spread);
    fmt::print("{} in {} ms {}; bar: less than {:.0f}: {}\n", name, number_text(spread.median),
               spread_text(spread), most_ms, spread.median < most_ms ? "met" : "NOT met");
  }
  if (!same) fmt::print("what was parsed is not what was written\n");
  if (!settings.json.empty()) write_document(settings.json, document);
  return same ? 0 : 1;
}

}  // namespace tutti::bench
