// What a training step computes has the same bits wherever its operands stand in memory, and whatever else the process
// computes at the same time.
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <thread>

#include "tests/comm/tree_sum.h"
#include "tutti/tutti.h"

namespace tutti {
namespace {

// Tensors that begin `offset` elements behind the beginning of a cache line, and whose gradients do.
class Maker {
 public:
  Maker(DType dtype, std::int64_t offset) : dtype_(dtype), offset_(offset) {}

  Tensor values(const Shape& shape) {
    const Tensor memory = view(shape);
    ++seed_;
    std::vector<double> values(static_cast<std::size_t>(shape.numel()));
    // Exactly as they are in either type.
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = test::rough_value<float>(seed_, i);
    for (double& x : values) x = static_cast<float>(x * 0.01);
    memory.detach().copy_(from(values, shape));
    return memory;
  }

  Tensor parameter(const Shape& shape) {
    Tensor result = values(shape);
    result.set_requires_grad();
    result.set_grad(view(shape).zero_());
    parameters_.push_back(result);
    return result;
  }

  // The bytes of all gradients, after a backward pass from `out` with rough gradients.
  std::string backward(const Tensor& out) {
    std::string bytes = bytes_of(out);
    out.backward(values(out.shape()));
    for (const Tensor& parameter : parameters_) bytes += bytes_of(parameter.grad());
    return bytes;
  }

 private:
  Tensor view(const Shape& shape) const {
    return empty({shape.numel() + offset_}, {.dtype = dtype_})
        .slice(0, offset_, shape.numel() + offset_)
        .reshape(shape);
  }

  static std::string bytes_of(const Tensor& x) {
    const Tensor plain = x.detach().to(Device::cpu()).contiguous();
    return {static_cast<const char*>(plain.raw_data()),
            static_cast<std::size_t>(plain.numel()) * size_of(plain.dtype())};
  }

  DType dtype_;
  std::int64_t offset_;
  int seed_ = 0;
  std::vector<Tensor> parameters_;
};

using Step = std::function<std::string(Maker&)>;

Tensor some_numbers(std::int64_t count, std::int64_t below) {
  std::vector<std::int64_t> numbers(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = static_cast<std::int64_t>(i * i * 7 + i * 3) % below;
  }
  return from(numbers, {count});
}

const std::map<std::string, Step> steps = {
    {"matmul",
     [](Maker& m) {
       return m.backward(matmul(m.parameter({3, 37, 131}), m.parameter({3, 131, 53})));
     }},
    {"linear",
     [](Maker& m) {
       return m.backward(linear(m.parameter({67, 145}), m.parameter({101, 145}), m.parameter({101})));
     }},
    {"conv2d",
     [](Maker& m) {
       return m.backward(conv2d(m.parameter({3, 6, 17, 15}), m.parameter({10, 3, 5, 3}), m.parameter({10}),
                                {.stride = 2, .padding = 1, .groups = 2}));
     }},
    {"conv2d 1 x 1",
     [](Maker& m) {
       return m.backward(conv2d(m.parameter({2, 7, 9, 11}), m.parameter({5, 7, 1, 1})));
     }},
    {"layer_norm",
     [](Maker& m) {
       return m.backward(layer_norm(m.parameter({23, 77}), m.parameter({77}), m.parameter({77})));
     }},
    {"add_layer_norm",
     [](Maker& m) {
       const auto [sum, normed] =
           add_layer_norm(m.parameter({23, 77}), m.parameter({23, 77}), m.parameter({77}), m.parameter({77}));
       return m.backward(cat({sum, normed}));
     }},
    {"rms_norm",
     [](Maker& m) {
       return m.backward(rms_norm(m.parameter({23, 77}), m.parameter({77})));
     }},
    {"batch_norm",
     [](Maker& m) {
       return m.backward(batch_norm(m.parameter({5, 3, 7, 9}), m.values({3}), m.values({3}), m.parameter({3}),
                                    m.parameter({3}), {.training = true}));
     }},
    {"cross_entropy",
     [](Maker& m) {
       return m.backward(
           cross_entropy(m.parameter({29, 131}), some_numbers(29, 131), {.label_smoothing = 0.1}));
     }},
    {"embedding",
     [](Maker& m) {
       return m.backward(embedding(some_numbers(200, 19), m.parameter({19, 33})));
     }},
    {"attention",
     [](Maker& m) {
       return m.backward(scaled_dot_product_attention(m.parameter({2, 3, 19, 13}),
                                                      m.parameter({2, 3, 19, 13}),
                                                      m.parameter({2, 3, 19, 13}), {.causal = true}));
     }},
    {"max_pool2d",
     [](Maker& m) {
       return m.backward(max_pool2d(m.parameter({2, 3, 9, 11}), 3));
     }},
    {"avg_pool2d",
     [](Maker& m) {
       return m.backward(avg_pool2d(m.parameter({2, 3, 9, 11}), 3));
     }},
    {"sums",
     [](Maker& m) {
       const Tensor x = m.parameter({7, 301, 5});
       return m.backward(sum(x, {1})) + m.backward(sum(x, {2})) + m.backward(sum(x)) +
              m.backward(mean(x, {0}));
     }},
    {"elementwise",
     [](Maker& m) {
       const Tensor x = m.parameter({301}), y = m.parameter({3, 301});
       return m.backward(gelu(x) * y + tanh(y) / exp(x) - sigmoid(x));
     }},
};

class SameBits : public ::testing::TestWithParam<DType> {};

TEST_P(SameBits, AtAnyAlignment) {
  for (const auto& [name, step] : steps) {
    Maker aligned(GetParam(), 0);
    const auto expected = step(aligned);
    for (const std::int64_t offset : {1, 2, 3, 5, 8, 13}) {
      Maker moved(GetParam(), offset);
      EXPECT_TRUE(step(moved) == expected) << name << " at " << offset;
    }
  }
}

TEST_P(SameBits, BesideOtherThreads) {
  for (const auto& [name, step] : steps) {
    Maker alone(GetParam(), 0);
    const auto expected = step(alone);
    std::vector<std::string> results(4);
    std::vector<std::thread> threads;
    const Device device = default_device();
    for (std::size_t i = 0; i < results.size(); ++i) {
      threads.emplace_back([&, i] {
        const DefaultDevice on_device(device);
        Maker mine(GetParam(), 0);
        results[i] = step(mine);
      });
    }
    for (auto& thread : threads) thread.join();
    for (const auto& result : results) EXPECT_TRUE(result == expected) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(, SameBits, ::testing::Values(DType::f32, DType::f64),
                         [](const auto& info) { return std::string(name_of(info.param)); });

}  // namespace
}  // namespace tutti
