// Tests of the runtime of CUDA: the driver's part is simulated, and counted.
#pragma once

#include "tests/cuda/gpu_test.h"
#include "tests/simt/runtime.h"

#include "kernels/cuda/device_cache.h"
#include "kernels/cuda/stream.h"
#include "kernels/launch.h"
#include "kernels/memory.h"
#include "tutti/core/cuda.h"
#include "tutti/core/memory.h"

namespace tutti::simt {

// With the cache, which the address sanitizer would do without.
class RuntimeTest : public test::GpuTest {
 protected:
  void SetUp() override {
    GpuTest::SetUp();
    kept_ = cache().set_keeps(true);
    cache().empty();
  }
  void TearDown() override {
    cache().empty();
    cache().set_keeps(kept_);
  }

  static kernels::DeviceCache& cache() { return kernels::DeviceCache::instance(); }
  void* take(std::size_t bytes) const { return kernels::launch<kernels::Allocate>(gpu, bytes); }
  static void give(void* block) { cache().give(block); }

 private:
  bool kept_ = true;
};

// How often the host waited since.
class Waits {
 public:
  std::uint64_t count() const { return counters().synchronisations - before_; }

 private:
  std::uint64_t before_ = counters().synchronisations;
};

}  // namespace tutti::simt
