// Collectives of tensors on GPUs, on the ranks of a launcher: prints which leave anything but what they leave of tensors on the
// CPU. Ranks share a GPU where there are not enough.
#include <fmt/format.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tutti/autograd/arithmetic.h"
#include "tutti/comm/world.h"
#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"
#include "tutti/tensor/fingerprint.h"

using namespace tutti;

namespace {

Device gpu_of(int rank) {
  try {
    return Device::cuda(rank);
  } catch (const DeviceError&) {
    return Device::cuda();
  }
}

// Leaves its result in the second, which has as many elements as all ranks have in the first.
using Call = std::function<void(Communicator&, const Tensor&, const Tensor&)>;

bool is_the_same(World& world, const Call& call, DType dtype, std::int64_t count) {
  const Tensor in = (arange(count, {.dtype = DType::f64}) * 0.37 + world.rank()).to(dtype);
  const Tensor here = zeros({count * world.size()}, {.dtype = dtype}), there = here.to(gpu_of(world.rank()));
  call(world, in, here);
  call(world, in.to(there.device()), there);
  return fingerprint({{"", here}}) == fingerprint({{"", there}});
}

}  // namespace

int main(int argc, char** argv) {
  World world(argc, argv);
  const std::vector<std::pair<std::string, Call>> calls{
      {"all_reduce",
       [](auto& c, auto& in, auto& out) { c.all_reduce(in, out.slice(0, 0, in.numel()), ReduceOp::avg); }},
      {"all_gather", [](auto& c, auto& in, auto& out) { c.all_gather(in, out); }},
      {"reduce_scatter",
       [](auto& c, auto& in, auto& out) {
         c.all_gather(in, out);
         c.reduce_scatter(out.clone(), out.slice(0, 0, in.numel()), ReduceOp::sum);
       }},
      {"broadcast",
       [](auto& c, auto& in, auto& out) {
         Tensor part = out.slice(0, 0, in.numel());
         part.copy_(in);
         c.broadcast(part, c.size() - 1);
       }},
      {"send_recv",
       [](auto& c, auto& in, auto& out) {
         const int next = (c.rank() + 1) % c.size(), last = (c.rank() + c.size() - 1) % c.size();
         c.send_recv(in, next, out.slice(0, 0, in.numel()), last);
       }},
  };
  int wrong = 0;
  for (const auto& [name, call] : calls) {
    for (const DType dtype : {DType::f32, DType::bf16, DType::f64}) {
      for (const std::int64_t count : {1, 1003, 300'007}) {
        if (is_the_same(world, call, dtype, count)) continue;
        fmt::print("rank {}: {} of {} {} differs\n", world.rank(), name, count, name_of(dtype));
        ++wrong;
      }
    }
  }
  if (world.rank() == 0) fmt::print("{} ranks over {}\n", world.size(), world.backend());
  return wrong == 0 ? 0 : 1;
}
