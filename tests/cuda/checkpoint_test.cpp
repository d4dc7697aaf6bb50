// States on the GPU are saved from it and put back to it.
#include "tutti/checkpoint/checkpoint.h"

#include "tests/checkpoint/parts.h"
#include "tests/cuda/gpu_test.h"
#include "tests/support/files.h"
#include "tutti/checkpoint/checkpointer.h"

namespace tutti::test {
namespace {

// Which of its tensors are read to where they are is the loader's to find out: not those on the GPU.
struct InPlacePart : Part {
  using Part::Part;
  NamedTensors in_place() const { return state_dict(); }
  void load_rest(const NamedTensors& rest) { copy_by_name("model", state_dict(), rest, false); }
  void loaded() {}
};

template <typename T>
class CheckpointOfGpu : public GpuTest {};
using Parts = ::testing::Types<Part, InPlacePart>;
TYPED_TEST_SUITE(CheckpointOfGpu, Parts);

TYPED_TEST(CheckpointOfGpu, IsOfTheStateAsItWasAndIsPutBack) {
  const auto& gpu = this->gpu;

  const TemporaryDirectory directory;
  const Tensor w = numbers({1000, 1001}, DType::f32), n = numbers({7}, DType::bf16, 1);
  TypeParam model("model", {{"w", w.to(gpu)}, {"n", n.to(gpu)}, {"host", w.clone()}});
  const TrainState state{model};
  Communicator world;
  Checkpointer checkpoints(directory / "run", world);
  for (int step = 0; step < 3; ++step) {  // the first one makes the memory
    const Save save = checkpoints.save_now(step, state);
    model.fill(-1);
    save.wait();
    EXPECT_EQ(checkpoints.restore(state), step + 1);
    const auto now = model.state_dict();
    EXPECT_EQ(now[0].tensor.device(), gpu);
    expect_close(now[0].tensor, w, 0);
    expect_close(now[1].tensor, n, 0);
    expect_close(now[2].tensor, w, 0);
  }
  expect_close(Checkpoint(directory / "run/step-0000000003").read("model.w"), w, 0);
}

}  // namespace
}  // namespace tutti::test
