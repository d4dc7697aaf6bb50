#include "kernels/slow_blas.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace tutti::kernels {
namespace {

// In lower case, OpenBLAS's first.
constexpr std::array<std::string_view, 8> of_avx512{"skylakex", "cooperlake", "sapphirerapids", "zen4",
                                                    "zen5",     "skx",        "icelake",        "knl"};
constexpr std::array<std::string_view, 6> of_avx2{"haswell", "zen", "excavator", "zen2", "zen3", "alderlake"};

bool is_in(const auto& names, std::string_view name) { return std::ranges::find(names, name) != names.end(); }

}  // namespace

std::string slow_blas(std::string_view core, bool avx2, bool avx512, const char* asked) {
  std::string name(core);
  std::ranges::transform(name, name.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; });
  const bool suits = name.empty() || is_in(of_avx512, name) || (is_in(of_avx2, name) ? !avx512 : !avx2);
  if (suits) return {};
  const auto advice =
      asked ? fmt::format("unset OPENBLAS_CORETYPE={}, or name a processor that is more like this one", asked)
            : fmt::format("for OpenBLAS set OPENBLAS_CORETYPE={}, or install a newer one",
                          avx512 ? "SkylakeX" : "Haswell");
  return fmt::format(
      "matrix products: the BLAS has chosen its kernels for {}, and the processor has {}, so they may "
      "take twice as long as they need; {}",
      core, avx512 ? "AVX-512" : "AVX2", advice);
}

}  // namespace tutti::kernels
