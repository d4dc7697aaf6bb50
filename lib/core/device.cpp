#include "tutti/core/device.h"

#include <charconv>
#include <utility>

#include "tutti/core/default_device.h"
#include "tutti/core/error.h"

namespace tutti {
namespace {

thread_local Device current;

}  // namespace

Device Device::parse(std::string_view name) {
  if (name == "cpu") return cpu();
  if (name == "cuda") return cuda();
  int index = -1;
  if (name.starts_with("cuda:")) {
    const char* const end = name.data() + name.size();
    const auto [rest, error] = std::from_chars(name.data() + 5, end, index);
    if (error == std::errc() && rest == end) return cuda(index);
  }
  throw ConfigError("Device: a device is named cpu, cuda or cuda:0, got '" + std::string(name) + "'");
}

Device default_device() { return current; }

DefaultDevice::DefaultDevice(Device device) : before_(std::exchange(current, device)) {}
DefaultDevice::~DefaultDevice() { current = before_; }

}  // namespace tutti
