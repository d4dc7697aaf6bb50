/// \file
/// The memory under tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "tutti/core/device.h"
#include "tutti/core/memory.h"

namespace tutti {

/// Bytes on a device, with a counter of the in-place changes made to them (the tape compares it).
class Storage {
 public:
  /// `bytes` uninitialised bytes on `device`. \throws DeviceError where there is no more memory.
  static std::shared_ptr<Storage> allocate(std::size_t bytes, Device device = {});
  /// Memory that someone else made (a communicator, a mapping), kept alive by `owner`.
  static std::shared_ptr<Storage> external(void* data, std::size_t bytes, Device device,
                                           std::shared_ptr<void> owner);

  Storage(void* data, std::size_t bytes, Device device, std::shared_ptr<void> owner, bool owned);
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  ~Storage();

  /// Puts other memory, of as many bytes, under the tensors on memory that was `external`; or none, and the elements
  /// are out of reach until there is some again. Not a change in place for the tape: the elements are to be the same.
  /// \throws DeviceError for memory that this storage allocated.
  void set_memory(void* data, std::shared_ptr<void> owner);

  /// For memory::statistics. What was `external` counts from the first call on.
  void set_category(memory::Category category);

  void* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }
  Device device() const { return device_; }

  std::uint64_t version() const { return version_; }
  /// To be called by whatever changes the bytes in place.
  void bump_version() { ++version_; }

 private:
  void* data_;
  std::size_t bytes_;
  Device device_;
  std::shared_ptr<void> owner_;
  bool owned_;
  bool counted_;
  memory::Category category_ = memory::Category::activations;
  std::uint64_t version_ = 0;
};

}  // namespace tutti
