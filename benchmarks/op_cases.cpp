#include "benchmarks/op_cases.h"

#include <fmt/format.h>

#include "kernels/optim.h"
#include "tutti/autograd/arithmetic.h"
#include "tutti/autograd/attention.h"
#include "tutti/autograd/conv.h"
#include "tutti/autograd/index.h"
#include "tutti/autograd/loss.h"
#include "tutti/autograd/math.h"
#include "tutti/autograd/matmul.h"
#include "tutti/autograd/norm.h"
#include "tutti/autograd/pool.h"
#include "tutti/autograd/reduce.h"
#include "tutti/autograd/shape.h"
#include "tutti/autograd/softmax.h"
#include "tutti/tensor/creation.h"
#include "tutti/tensor/random.h"

namespace tutti::bench {
namespace {

using Call = std::function<void()>;
using Operands = std::vector<Tensor>;
using Operation = std::function<Tensor(const Operands&)>;

Operands draw(const std::vector<Shape>& shapes) {
  Generator rng(1);
  Operands operands;
  for (const auto& shape : shapes) operands.push_back(randn(shape, rng));
  return operands;
}

// f of random numbers, without its gradient and with it. `per_element` of the largest operand: the bytes that must pass.
void add(std::vector<OpCase>& cases, const std::string& name, const std::vector<Shape>& shapes,
         double forward_bytes, double both_bytes, double flops, const Operation& f) {
  cases.push_back({name, forward_bytes, flops, [=] { return Call([=, x = draw(shapes)] { f(x); }); }});
  cases.push_back({name + ", gradients too", both_bytes, 3 * flops, [=] {
                     Operands x = draw(shapes);
                     for (auto& operand : x) operand.set_requires_grad();
                     const Tensor g = empty_like(f(x).detach()).fill_(0.5);
                     return Call([=] {
                       for (const auto& operand : x) Tensor(operand).set_grad({});
                       f(x).backward(g);
                     });
                   }});
}

void add_products(std::vector<OpCase>& cases) {
  const auto product = [&](const char* what, std::int64_t m, std::int64_t n, std::int64_t k, bool ta,
                           bool tb) {
    const auto flops = 2.0 * static_cast<double>(m * n * k);
    cases.push_back({fmt::format("matmul {}: {} x {} x {}", what, m, n, k), 0, flops, [=] {
                       const auto x = draw({ta ? Shape{k, m} : Shape{m, k}, tb ? Shape{n, k} : Shape{k, n}});
                       const Tensor a = ta ? x[0].transpose(0, 1) : x[0],
                                    b = tb ? x[1].transpose(0, 1) : x[1];
                       return Call([=] { matmul(a, b); });
                     }});
  };
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

void add_rows(std::vector<OpCase>& cases) {
  const Shape rows{32768, 768};
  const double n = static_cast<double>(rows.numel());
  add(cases, "layer_norm 32768 x 768", {rows, {768}, {768}}, 8 * n, 20 * n, 0,
      [](const Operands& x) { return layer_norm(x[0], x[1], x[2]); });
  add(cases, "rms_norm 32768 x 768", {rows, {768}}, 8 * n, 20 * n, 0,
      [](const Operands& x) { return rms_norm(x[0], x[1]); });
  add(cases, "softmax 32768 x 768", {rows}, 8 * n, 20 * n, 0,
      [](const Operands& x) { return softmax(x[0]); });
  Generator rng(2);
  const Tensor targets = randint(0, 50257, {1024}, rng);
  const double logits = 1024.0 * 50257;
  add(cases, "cross_entropy 1024 x 50257", {{1024, 50257}}, 4 * logits, 8 * logits, 0,
      [targets](const Operands& x) { return cross_entropy(x[0], targets); });
  const Tensor tokens = randint(0, 50257, {4096}, rng);
  add(cases, "embedding 4096 of 50257 x 384", {{50257, 384}}, 8 * 4096.0 * 384,
      4 * 50257.0 * 384 + 16 * 4096.0 * 384, 0,
      [tokens](const Operands& x) { return embedding(tokens, x[0]); });
  add(cases, "sum of columns 32768 x 768", {rows}, 4 * n, 8 * n, 0,
      [](const Operands& x) { return sum(x[0], {0}); });
  add(cases, "sum 32768 x 768", {rows}, 4 * n, 8 * n, 0, [](const Operands& x) { return sum(x[0]); });
}

void add_elements(std::vector<OpCase>& cases) {
  const Shape many{16 << 20};
  const double n = static_cast<double>(many.numel());
  add(cases, "add 16 M", {many, many}, 12 * n, 20 * n, 0, [](const Operands& x) { return x[0] + x[1]; });
  add(cases, "gelu (tanh) 16 M", {many}, 8 * n, 20 * n, 0,
      [](const Operands& x) { return gelu(x[0], Gelu::tanh); });
  add(cases, "gelu (erf) 16 M", {many}, 8 * n, 20 * n, 0, [](const Operands& x) { return gelu(x[0]); });
  add(cases, "silu 16 M", {many}, 8 * n, 20 * n, 0, [](const Operands& x) { return silu(x[0]); });
  cases.push_back(
      {"to bf16 16 M", 6 * n, 0, [many] { return Call([x = draw({many})] { x[0].to(DType::bf16); }); }});
  cases.push_back({"rand 16 M", 4 * n, 0, [many] {
                     return Call([many] {
                       Generator rng(1);
                       rand(many, rng);
                     });
                   }});
  cases.push_back({"AdamW 16 M", 28 * n, 0, [many] {
                     Operands x = draw({many, many, many, many});
                     x[3].fill_(1e-4);  // a square
                     return Call([x] {
                       kernels::AdamStep::cpu({.dtype = DType::f32,
                                               .count = x[0].numel(),
                                               .parameter = x[0].raw_data(),
                                               .grad = x[1].raw_data(),
                                               .exp_avg = x[2].raw_data(),
                                               .exp_avg_sq = x[3].raw_data(),
                                               .beta1 = 0.9,
                                               .beta2 = 1,  // so that squares stay what they are
                                               .eps = 1e-8,
                                               .weight_decay = 0,
                                               .scalars = {0.999, 1e-3, 1}});
                     });
                   }});
  add(cases, "add of 16 numbers", {{16}, {16}}, 0, 0, 0, [](const Operands& x) { return x[0] + x[1]; });
}

void add_models(std::vector<OpCase>& cases) {
  const auto attention = [&](std::int64_t b, std::int64_t h, std::int64_t t) {
    const Shape heads{b, h, t, 64};
    add(cases, fmt::format("attention {} x {} heads, {} tokens", b, h, t), {heads, heads, heads}, 0, 0,
        2.0 * 64 * static_cast<double>(b * h * t * t),  // half of two products
        [](const Operands& x) { return scaled_dot_product_attention(x[0], x[1], x[2], {.causal = true}); });
  };
  attention(4, 6, 256);
  attention(1, 12, 1024);
  attention(1, 4, 4096);
  const auto conv = [&](std::int64_t n, std::int64_t in, std::int64_t out, std::int64_t side) {
    add(cases, fmt::format("conv2d 3 x 3, {} of {} x {} x {} to {}", n, in, side, side, out),
        {{n, in, side, side}, {out, in, 3, 3}}, 0, 0, 18.0 * static_cast<double>(n * in * out * side * side),
        [](const Operands& x) { return conv2d(x[0], x[1], {}, {.padding = 1}); });
  };
  conv(64, 32, 64, 14);
  conv(128, 16, 16, 32);
  conv(128, 64, 64, 8);
  const double n = 64.0 * 32 * 28 * 28;
  add(cases, "max_pool2d 2 x 2, 64 of 32 x 28 x 28", {{64, 32, 28, 28}}, 7 * n, 14 * n, 0,
      [](const Operands& x) { return max_pool2d(x[0], 2); });
}

}  // namespace

std::vector<OpCase> op_cases() {
  std::vector<OpCase> cases;
  add_products(cases);
  add_rows(cases);
  add_elements(cases);
  add_models(cases);
  return cases;
}

}  // namespace tutti::bench
