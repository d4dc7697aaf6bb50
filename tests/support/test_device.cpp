// With TUTTI_TEST_DEVICE=cuda the tests of a program make their tensors on a GPU. Where there is none they fail: a run
// for GPUs that tests none is no success.
#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>
#include <string_view>

#include "tutti/core/default_device.h"

namespace tutti::test {
namespace {

class OnTestDevice : public ::testing::Environment {
  void SetUp() override {
    const char* device = std::getenv("TUTTI_TEST_DEVICE");
    if (device != nullptr && std::string_view(device) == "cuda") default_.emplace(Device::cuda());
  }
  void TearDown() override { default_.reset(); }

  std::optional<DefaultDevice> default_;
};

[[maybe_unused]] const auto* const environment = ::testing::AddGlobalTestEnvironment(new OnTestDevice);

}  // namespace
}  // namespace tutti::test
