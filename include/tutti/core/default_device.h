/// \file
/// The device of new tensors, where none is named.
#pragma once

#include "tutti/core/device.h"

namespace tutti {

/// The device on which this thread makes tensors for which none is named: the CPU, unless a DefaultDevice says otherwise.
Device default_device();

/// While it lives, tensors that this thread makes are on `device` where none is named, the parameters of new modules
/// among them:
///
///     DefaultDevice on_gpu(Device::cuda());
///     nn::Gpt model({.layers = 6});
///     Tensor x = randn({32, 64}, generator);
///
/// What is read from files comes to the CPU all the same. An inner one holds until it ends.
class [[nodiscard]] DefaultDevice {
 public:
  explicit DefaultDevice(Device device);
  ~DefaultDevice();
  DefaultDevice(const DefaultDevice&) = delete;
  DefaultDevice& operator=(const DefaultDevice&) = delete;

 private:
  Device before_;
};

}  // namespace tutti
