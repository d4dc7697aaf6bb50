// Joining and splitting.
#include <fmt/format.h>

#include <optional>

#include "tensor/checks.h"
#include "tutti/autograd/node.h"
#include "tutti/autograd/shape.h"
#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti {
namespace {

using autograd::Gradients;
using autograd::Needs;

Shape joined_shape(const std::vector<Tensor>& tensors, int dim) {
  Shape shape = tensors[0].shape();
  shape[dim] = 0;
  for (const Tensor& tensor : tensors) {
    check_alike("cat", tensors[0], tensor);
    Shape other = tensor.shape();
    if (other.rank() == shape.rank()) other[dim] = shape[dim];
    if (other != shape) {
      throw ShapeError(fmt::format("cat: sizes outside dimension {} differ: {} and {}", dim,
                                   tensors[0].shape().str(), tensor.shape().str()));
    }
    shape[dim] += tensor.shape()[dim];
  }
  return shape;
}

// The pieces as one, where they lie behind each other in one memory.
std::optional<Tensor> joined_view(const std::vector<Tensor>& pieces, int dim) {
  const Tensor& first = pieces[0];
  Shape shape = first.shape();
  shape[dim] = 0;
  for (const Tensor& piece : pieces) {
    if (piece.storage() != first.storage() || piece.strides() != first.strides() ||
        piece.offset() != first.offset() + shape[dim] * first.strides()[dim])
      return std::nullopt;
    shape[dim] += piece.shape()[dim];
  }
  return first.as_strided(shape, first.strides(), first.offset());
}

}  // namespace

Tensor cat(const std::vector<Tensor>& tensors, std::int64_t dim) {
  if (tensors.empty()) throw ShapeError("cat: there is nothing to join");
  const int d = normalize_dim("cat", dim, tensors[0].rank());
  Tensor out = empty(joined_shape(tensors, d), {tensors[0].dtype(), tensors[0].device()});
  std::vector<std::int64_t> sizes;
  std::int64_t position = 0;
  for (const Tensor& tensor : tensors) {
    const std::int64_t size = tensor.shape()[d];
    out.slice(d, position, position + size).copy_(tensor.detach());
    sizes.push_back(size);
    position += size;
  }
  return autograd::record("cat", out, tensors, [sizes, d](const Tensor& g, Needs needs) {
    Gradients gradients(sizes.size());
    std::int64_t start = 0;
    for (std::size_t i = 0; i < sizes.size(); start += sizes[i++]) {
      if (needs[i]) gradients[i] = slice(g, d, start, start + sizes[i]);
    }
    return gradients;
  });
}

Tensor stack(const std::vector<Tensor>& tensors, std::int64_t dim) {
  if (tensors.empty()) throw ShapeError("stack: there is nothing to join");
  const int d = normalize_dim("stack", dim, tensors[0].rank() + 1);
  std::vector<Tensor> raised;
  for (const Tensor& tensor : tensors) {
    check_alike("stack", tensors[0], tensor);
    if (tensor.shape() != tensors[0].shape()) {
      throw ShapeError(
          fmt::format("stack: the shapes differ: {} and {}", tensors[0].shape().str(), tensor.shape().str()));
    }
    raised.push_back(unsqueeze(tensor, d));
  }
  return cat(raised, d);
}

std::vector<Tensor> split(const Tensor& x, std::int64_t size, std::int64_t dim) {
  const int d = normalize_dim("split", dim, x.rank());
  if (size < 1) throw ShapeError(fmt::format("split: the size of a part must be at least 1, got {}", size));
  std::vector<Tensor> parts;
  for (std::int64_t start = 0; start < x.shape()[d]; start += size) {
    parts.push_back(slice(x.detach(), d, start, start + size));
  }
  // One node for all parts: their gradients are joined, not padded with zeros and added.
  std::vector<Shape> shapes;
  for (const Tensor& part : parts) shapes.push_back(part.shape());
  return autograd::record_all("split", parts, {x}, [shapes, d](const Gradients& g, Needs) {
    Gradients pieces = g;
    TensorOptions options;
    for (const Tensor& piece : g) {
      if (piece.defined()) options = {piece.dtype(), piece.device()};
    }
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      if (!pieces[i].defined()) pieces[i] = zeros(shapes[i], options);
    }
    const auto joined = joined_view(pieces, d);
    return Gradients{joined ? *joined : cat(pieces, d)};
  });
}

}  // namespace tutti
