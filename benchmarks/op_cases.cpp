#include "benchmarks/op_cases.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "tutti/autograd/arithmetic.h"
#include "tutti/autograd/attention.h"
#include "tutti/autograd/conv.h"
#include "tutti/autograd/index.h"
#include "tutti/autograd/loss.h"
#include "tutti/autograd/math.h"
#include "tutti/autograd/matmul.h"
#include "tutti/autograd/node.h"
#include "tutti/autograd/norm.h"
#include "tutti/autograd/pool.h"
#include "tutti/autograd/reduce.h"
#include "tutti/autograd/shape.h"
#include "tutti/autograd/softmax.h"
#include "tutti/optim/adam.h"
#include "tutti/tensor/creation.h"
#include "tutti/tensor/random.h"

namespace tutti::bench {
namespace {

using Call = std::function<void()>;
using Operands = std::vector<Tensor>;
using Operation = std::function<Tensor(const Operands&)>;
using OperationOfSeveral = std::function<Operands(const Operands&)>;

struct Cases {
  Device device;
  DType dtype;
  std::vector<OpCase> all = {};

  // What keeps this device busy.
  std::int64_t sized(std::int64_t cpu, std::int64_t cuda) const { return device.is_cpu() ? cpu : cuda; }
  double element() const { return static_cast<double>(size_of(dtype)); }
};

Operands draw(const std::vector<Shape>& shapes, DType dtype) {
  Generator rng(1);
  Operands operands;
  for (const auto& shape : shapes) operands.push_back(randn(shape, rng, 0, 1, {.dtype = dtype}));
  return operands;
}

// The backward pass from all of `results`, with `g` for the gradient of each.
void backward(const Operands& results, const Tensor& g) {
  if (results.size() == 1) return results[0].backward(g);
  const Tensor end = autograd::record("results", empty({0}), results, [&](const Tensor&, autograd::Needs) {
    return autograd::Gradients(results.size(), g);
  });
  end.backward(empty({0}));
}

// f of random numbers, without its gradient and with it, and the elements that must pass.
void add_of_several(Cases& cases, const std::string& name, const std::vector<Shape>& shapes, double forward,
                    double both, double flops, const OperationOfSeveral& f) {
  const DType dtype = cases.dtype;
  cases.all.push_back(
      {name, forward * cases.element(), flops, [=] { return Call([=, x = draw(shapes, dtype)] { f(x); }); }});
  cases.all.push_back({name + ", gradients too", both * cases.element(), 3 * flops, [=] {
                         Operands x = draw(shapes, dtype);
                         for (auto& operand : x) operand.set_requires_grad();
                         const Tensor g = empty_like(f(x)[0].detach()).fill_(0.5);
                         return Call([=] {
                           for (const auto& operand : x) Tensor(operand).set_grad({});
                           backward(f(x), g);
                         });
                       }});
}

void add(Cases& cases, const std::string& name, const std::vector<Shape>& shapes, double forward, double both,
         double flops, const Operation& f) {
  add_of_several(cases, name, shapes, forward, both, flops,
                 [f](const Operands& x) { return Operands{f(x)}; });
}

void add_products(Cases& cases) {
  const auto product = [&](const char* what, std::int64_t m, std::int64_t n, std::int64_t k, bool ta,
                           bool tb) {
    const auto flops = 2.0 * static_cast<double>(m * n * k);
    cases.all.push_back(
        {fmt::format("matmul {}: {} x {} x {}", what, m, n, k), 0, flops, [=, dtype = cases.dtype] {
           const auto x = draw({ta ? Shape{k, m} : Shape{m, k}, tb ? Shape{n, k} : Shape{k, n}}, dtype);
           const Tensor a = ta ? x[0].transpose(0, 1) : x[0], b = tb ? x[1].transpose(0, 1) : x[1];
           return Call([=] { matmul(a, b); });
         }});
  };
  if (cases.device.is_cuda()) {  // of GPT-2, 16 sequences of 1024
    for (const auto& [n, k] : {std::pair<std::int64_t, std::int64_t>{2304, 768},
                               {768, 768},
                               {3072, 768},
                               {768, 3072},
                               {50304, 768}}) {
      product("forward", 16384, n, k, false, true);
      product("of x", 16384, k, n, false, false);
      product("of weight", n, k, 16384, true, false);
    }
  }
  product("forward", 1024, 1536, 384, false, true);
  product("of x", 1024, 384, 1536, false, false);
  product("of weight", 1536, 384, 1024, true, false);
  product("forward", 1024, 3072, 768, false, true);
  product("of x", 1024, 768, 3072, false, false);
  product("of weight", 3072, 768, 1024, true, false);
  product("forward", 1024, 50257, 384, false, true);
  product("forward", 128, 512, 784, false, true);
  product("of weight", 512, 784, 128, true, false);
  product("small", 32, 32, 32, false, false);
}

void add_rows(Cases& cases) {
  const Shape rows{cases.sized(32768, 65536), 768};
  const std::string size = fmt::format("{} x 768", rows[0]);
  const double n = static_cast<double>(rows.numel());
  add(cases, "layer_norm " + size, {rows, {768}, {768}}, 2 * n, 5 * n, 0,
      [](const Operands& x) { return layer_norm(x[0], x[1], x[2]); });
  add_of_several(cases, "add_layer_norm " + size, {rows, rows, {768}, {768}}, 4 * n, 8 * n, 0,
                 [](const Operands& x) {
                   const auto [sum, normed] = add_layer_norm(x[0], x[1], x[2], x[3]);
                   return Operands{sum, normed};
                 });
  add(cases, "rms_norm " + size, {rows, {768}}, 2 * n, 5 * n, 0,
      [](const Operands& x) { return rms_norm(x[0], x[1]); });
  add(cases, "softmax " + size, {rows}, 2 * n, 5 * n, 0, [](const Operands& x) { return softmax(x[0]); });
  Generator rng(2);
  const Shape scores{cases.sized(1024, 65536), cases.sized(50257, 50304)};
  const Tensor targets = randint(0, scores[1], {scores[0]}, rng);
  const double logits = static_cast<double>(scores.numel());
  add(cases, fmt::format("cross_entropy {} x {}", scores[0], scores[1]), {scores}, logits, 2 * logits, 0,
      [targets](const Operands& x) { return cross_entropy(x[0], targets); });
  const Tensor tokens = randint(0, 50257, {4096}, rng);
  add(cases, "embedding 4096 of 50257 x 384", {{50257, 384}}, 2 * 4096.0 * 384,
      50257.0 * 384 + 4 * 4096.0 * 384, 0, [tokens](const Operands& x) { return embedding(tokens, x[0]); });
  add(cases, "sum of columns " + size, {rows}, n, 2 * n, 0, [](const Operands& x) { return sum(x[0], {0}); });
  add(cases, "sum " + size, {rows}, n, 2 * n, 0, [](const Operands& x) { return sum(x[0]); });
}

void add_elements(Cases& cases) {
  const std::int64_t millions = cases.sized(16, 128);
  const Shape many{millions << 20};
  const std::string size = fmt::format(" {} M", millions);
  const double n = static_cast<double>(many.numel());
  add(cases, "add" + size, {many, many}, 3 * n, 5 * n, 0, [](const Operands& x) { return x[0] + x[1]; });
  add(cases, "gelu (tanh)" + size, {many}, 2 * n, 5 * n, 0,
      [](const Operands& x) { return gelu(x[0], Gelu::tanh); });
  add(cases, "gelu (erf)" + size, {many}, 2 * n, 5 * n, 0, [](const Operands& x) { return gelu(x[0]); });
  add(cases, "silu" + size, {many}, 2 * n, 5 * n, 0, [](const Operands& x) { return silu(x[0]); });
  cases.all.push_back({"to bf16" + size, 6 * n, 0,
                       [many] { return Call([x = draw({many}, DType::f32)] { x[0].to(DType::bf16); }); }});
  cases.all.push_back({"rand" + size, 4 * n, 0, [many] {
                         return Call([many] {
                           Generator rng(1);
                           rand(many, rng);
                         });
                       }});
  // Of 16-bit parameters, f32 copies and moments.
  const double adam = cases.element() == 2 ? 2 + 2 + 3 * 8 : 7 * cases.element();
  cases.all.push_back({"AdamW" + size, adam * n, 0, [many, dtype = cases.dtype] {
                         Operands x = draw({many, many}, dtype);
                         x[0].set_requires_grad().set_grad(x[1]);
                         auto optimizer = std::make_shared<optim::AdamW>(NamedTensors{{"x", x[0]}});
                         return Call([optimizer] { optimizer->step(); });
                       }});
  add(cases, "add of 16 numbers", {{16}, {16}}, 0, 0, 0, [](const Operands& x) { return x[0] + x[1]; });
}

void add_models(Cases& cases) {
  const auto attention = [&](std::int64_t b, std::int64_t h, std::int64_t t, std::int64_t width) {
    const Shape heads{b, h, t, width};
    add(cases, fmt::format("attention {} x {} heads of {}, {} tokens", b, h, width, t), {heads, heads, heads},
        0, 0,
        2.0 * static_cast<double>(width * b * h * t * t),  // half of two products
        [](const Operands& x) { return scaled_dot_product_attention(x[0], x[1], x[2], {.causal = true}); });
  };
  if (cases.device.is_cuda()) {
    for (const std::int64_t width : {64, 128}) {
      for (const std::int64_t t : {1024, 2048, 4096, 8192}) attention(16384 / t, 1536 / width, t, width);
    }
  }
  attention(4, 6, 256, 64);
  attention(1, 12, 1024, 64);
  attention(1, 4, 4096, 64);
  const auto conv = [&](std::int64_t n, std::int64_t in, std::int64_t out, std::int64_t side) {
    add(cases, fmt::format("conv2d 3 x 3, {} of {} x {} x {} to {}", n, in, side, side, out),
        {{n, in, side, side}, {out, in, 3, 3}}, 0, 0, 18.0 * static_cast<double>(n * in * out * side * side),
        [](const Operands& x) { return conv2d(x[0], x[1], {}, {.padding = 1}); });
  };
  conv(64, 32, 64, 14);
  conv(128, 16, 16, 32);
  conv(128, 64, 64, 8);
  const double n = 64.0 * 32 * 28 * 28;
  add(cases, "max_pool2d 2 x 2, 64 of 32 x 28 x 28", {{64, 32, 28, 28}}, 1.75 * n, 3.5 * n, 0,
      [](const Operands& x) { return max_pool2d(x[0], 2); });
}

}  // namespace

std::vector<OpCase> op_cases(Device device, DType dtype) {
  Cases cases{device, dtype};
  add_products(cases);
  add_rows(cases);
  add_elements(cases);
  add_models(cases);
  return cases.all;
}

}  // namespace tutti::bench
