#include "tutti/autograd/collective.h"

#include "tutti/autograd/node.h"
#include "tutti/autograd/shape.h"
#include "tutti/comm/communicator.h"
#include "tutti/tensor/creation.h"

namespace tutti {

using autograd::Gradients;
using autograd::Needs;

Tensor all_reduce(const Tensor& x, Communicator& comm) {
  const Tensor mine = contiguous(x.detach());
  const Tensor out = empty_like(mine);
  comm.all_reduce(mine, out);
  return autograd::record("all_reduce", out, {x}, [&comm](const Tensor& gradient, Needs) {
    return Gradients{all_reduce(gradient, comm)};
  });
}

}  // namespace tutti
