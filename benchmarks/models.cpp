#include "benchmarks/models.h"

#include "tutti/autograd/arithmetic.h"
#include "tutti/autograd/shape.h"
#include "tutti/nn/activation.h"
#include "tutti/nn/batch_norm.h"
#include "tutti/nn/conv.h"
#include "tutti/nn/gpt.h"
#include "tutti/nn/linear.h"
#include "tutti/nn/pool.h"
#include "tutti/nn/sequential.h"
#include "tutti/tensor/creation.h"

namespace tutti::bench {
namespace {

using nn::BatchNorm2d;
using nn::Conv2d;
using nn::Flatten;
using nn::Linear;
using nn::MaxPool2d;
using nn::ReLU;

using ModelPtr = std::unique_ptr<nn::Module>;

constexpr std::int64_t classes = 10;

// As in examples/mnist.
ModelPtr mlp(Generator rng) {
  return std::make_unique<nn::Sequential>(Flatten(), Linear(784, 512, rng), ReLU(), Linear(512, 512, rng),
                                          ReLU(), Linear(512, classes, rng));
}
ModelPtr cnn(Generator rng) {
  return std::make_unique<nn::Sequential>(
      Conv2d(1, 32, 3, rng, {.padding = 1}), ReLU(), MaxPool2d(2), Conv2d(32, 64, 3, rng, {.padding = 1}),
      ReLU(), MaxPool2d(2), Flatten(), Linear(64 * 7 * 7, 128, rng), ReLU(), Linear(128, classes, rng));
}

// LeCun et al., 1998, with the functions of today.
ModelPtr lenet(Generator rng) {
  return std::make_unique<nn::Sequential>(
      Conv2d(1, 6, 5, rng, {.padding = 2}), ReLU(), MaxPool2d(2), Conv2d(6, 16, 5, rng), ReLU(), MaxPool2d(2),
      Flatten(), Linear(400, 120, rng), ReLU(), Linear(120, 84, rng), ReLU(), Linear(84, classes, rng));
}

// A block of He et al., 2015; where it halves the image, every second pixel and channels of zeros go past it.
struct Residual : nn::Module {
  Conv2d conv1, conv2;
  BatchNorm2d bn1, bn2;
  std::int64_t stride, added;

  Residual(std::int64_t in, std::int64_t out, std::int64_t step, Generator rng)
      : conv1(in, out, 3, rng, {.stride = step, .padding = 1, .bias = false}),
        conv2(out, out, 3, rng, {.padding = 1, .bias = false}),
        bn1(out),
        bn2(out),
        stride(step),
        added(out - in) {}

  Tensor forward(const Tensor& x) override { return relu(bn2(conv2(relu(bn1(conv1(x))))) + past(x)); }
  Tensor past(const Tensor& x) const {
    if (stride == 1) return x;
    const Tensor y = x.slice(2, 0, x.size(2), stride).slice(3, 0, x.size(3), stride);
    const Tensor nothing = zeros({y.size(0), added / 2, y.size(2), y.size(3)});
    return cat({nothing, y, nothing}, 1);
  }
  void visit(nn::MemberVisitor& visitor) override {
    visitor.module("conv1", conv1);
    visitor.module("bn1", bn1);
    visitor.module("conv2", conv2);
    visitor.module("bn2", bn2);
  }
};

ModelPtr resnet20(Generator rng) {
  return std::make_unique<nn::Sequential>(
      Conv2d(3, 16, 3, rng, {.padding = 1, .bias = false}), BatchNorm2d(16), ReLU(), Residual(16, 16, 1, rng),
      Residual(16, 16, 1, rng), Residual(16, 16, 1, rng), Residual(16, 32, 2, rng), Residual(32, 32, 1, rng),
      Residual(32, 32, 1, rng), Residual(32, 64, 2, rng), Residual(64, 64, 1, rng), Residual(64, 64, 1, rng),
      nn::AvgPool2d(8), Flatten(), Linear(64, classes, rng));
}

}  // namespace

std::unique_ptr<nn::Module> make_model(const TrainSettings& train) {
  const Generator rng(0);
  if (train.model == "mlp") return mlp(rng);
  if (train.model == "cnn") return cnn(rng);
  if (train.model == "lenet") return lenet(rng);
  if (train.model == "resnet20") return resnet20(rng);
  return std::make_unique<nn::Gpt>(nn::GptOptions{.vocabulary = train.vocabulary,
                                                  .layers = train.layers,
                                                  .width = train.width,
                                                  .heads = train.heads,
                                                  .context = train.context,
                                                  .dropout = train.dropout});
}

}  // namespace tutti::bench
