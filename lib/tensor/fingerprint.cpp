#include "tutti/tensor/fingerprint.h"

#include <fmt/format.h>

#include <bit>

#define XXH_INLINE_ALL  // so that a program that links Tutti needs no xxHash
#include <xxhash.h>

#include "tutti/tensor/creation.h"

static_assert(XXH_VERSION_NUMBER >= 800, "from 0.8 on, XXH3 is what it will stay");
static_assert(std::endian::native == std::endian::little,
              "lengths and elements are hashed as they lie in memory");

namespace tutti {
namespace {

Tensor dense_on_host(const Tensor& tensor) {
  if (tensor.is_contiguous() && tensor.device().is_cpu()) return tensor;
  return empty(tensor.shape(), {tensor.dtype(), Device::cpu()}).copy_(tensor.detach());
}

void add(XXH3_state_t& state, const NamedTensor& named,
         XXH_errorcode (&update)(XXH3_state_t*, const void*, std::size_t)) {
  const auto& [name, tensor] = named;
  const std::string text = fmt::format("{} {} {}", name_of(tensor.dtype()), tensor.shape().str(), name);
  const std::uint64_t length = text.size();
  update(&state, &length, sizeof length);
  update(&state, text.data(), text.size());
  if (tensor.numel() == 0) return;
  const Tensor dense = dense_on_host(tensor);
  update(&state, dense.raw_data(), static_cast<std::size_t>(dense.numel()) * size_of(dense.dtype()));
}

}  // namespace

std::string fingerprint(const NamedTensors& tensors) {
  XXH3_state_t state;
  XXH3_128bits_reset(&state);
  for (const auto& named : tensors) add(state, named, XXH3_128bits_update);
  const XXH128_hash_t hash = XXH3_128bits_digest(&state);
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

std::vector<std::uint64_t> fingerprints(const NamedTensors& tensors) {
  std::vector<std::uint64_t> hashes;
  for (const auto& named : tensors) {
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    add(state, named, XXH3_64bits_update);
    hashes.push_back(XXH3_64bits_digest(&state));
  }
  return hashes;
}

}  // namespace tutti
