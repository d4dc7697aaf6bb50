// With TUTTI_TEST_DEVICE=cuda the tests of a program make their tensors on a GPU, those outside of functions too. Where there is
// none the program fails: a run for GPUs that tests none is no success.
#include <cstdlib>
#include <string_view>

#include "tutti/core/default_device.h"

namespace tutti::test {
namespace {

Device test_device() {
  const char* device = std::getenv("TUTTI_TEST_DEVICE");
  return device != nullptr && std::string_view(device) == "cuda" ? Device::cuda() : Device::cpu();
}

// Before the objects of other files.
[[maybe_unused, gnu::init_priority(1000)]] const DefaultDevice on_test_device(test_device());

}  // namespace
}  // namespace tutti::test
