/// \file
/// Where memory lies and where arithmetic runs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tutti {

/// A CPU, or one CUDA GPU by its index. Values compare equal when they name the same device.
class Device {
 public:
  enum class Kind : std::uint8_t { cpu, cuda };

  /// The CPU.
  constexpr Device() = default;
  static constexpr Device cpu() { return {}; }

  /// GPU number `index` of this process.
  /// \throws DeviceError when Tutti was built without CUDA, no driver answers, or there are not that many
  ///         GPUs; the message says which.
  static Device cuda(int index = 0);

  /// Whether `cuda()` would succeed; `why`, if given, receives the reason where it would not.
  static bool has_cuda(std::string* why = nullptr);

  /// Number of GPUs that `cuda` takes; 0 where there are none.
  static int cuda_count();

  /// "cpu", "cuda" (the first GPU) or "cuda:1", as str() gives it.
  /// \throws ConfigError for other names, DeviceError as cuda().
  static Device parse(std::string_view name);

  constexpr Kind kind() const { return kind_; }
  constexpr int index() const { return index_; }
  constexpr bool is_cpu() const { return kind_ == Kind::cpu; }
  constexpr bool is_cuda() const { return kind_ == Kind::cuda; }
  constexpr bool operator==(const Device&) const = default;

  /// "cpu" or "cuda:0".
  std::string str() const { return is_cpu() ? "cpu" : "cuda:" + std::to_string(index_); }

 private:
  constexpr Device(Kind kind, int index) : kind_(kind), index_(static_cast<std::int16_t>(index)) {}

  Kind kind_ = Kind::cpu;
  std::int16_t index_ = 0;
};

}  // namespace tutti
