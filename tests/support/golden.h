// Golden values: tensors of another implementation, from a safetensors file, and comparing with them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "tutti/autograd/shape.h"
#include "tutti/checkpoint/safetensors.h"

namespace tutti::test {

class Goldens {
 public:
  explicit Goldens(const std::string& path) {
    for (NamedTensor& entry : safetensors::load(path))
      tensors_[entry.name] = entry.tensor.to(default_device());
  }

  bool has(const std::string& name) const { return tensors_.count(name) != 0; }
  const Tensor& at(const std::string& name) const {
    if (!has(name)) throw std::runtime_error("no golden tensor " + name);
    return tensors_.at(name);
  }
  // prefix0, prefix1, ... as far as there are such.
  std::vector<Tensor> list(const std::string& prefix) const {
    std::vector<Tensor> tensors;
    while (has(prefix + std::to_string(tensors.size()))) {
      tensors.push_back(at(prefix + std::to_string(tensors.size())));
    }
    return tensors;
  }
  // The names that begin with `prefix`, without it, in alphabetical order.
  std::vector<std::string> names(const std::string& prefix) const {
    std::vector<std::string> names;
    for (const auto& [name, tensor] : tensors_) {
      if (name.rfind(prefix, 0) == 0) names.push_back(name.substr(prefix.size()));
    }
    return names;
  }
  // What stands before the first '/', each once and in alphabetical order.
  std::vector<std::string> cases() const {
    std::vector<std::string> names;
    for (const auto& [name, tensor] : tensors_) names.push_back(name.substr(0, name.find('/')));
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
  }

 private:
  std::map<std::string, Tensor> tensors_;
};

// Same shape and dtype, |got - want| <= tolerance * |want| in the 2-norm, and the same at each element but
// for what rounding leaves where large terms cancel: a tenth of the tolerance, of the largest element.
inline void expect_close(const Tensor& got, const Tensor& want, const std::string& what,
                         double tolerance = 1e-5) {
  ASSERT_TRUE(got.defined()) << what;
  ASSERT_EQ(got.shape(), want.shape()) << what;
  ASSERT_EQ(got.dtype(), want.dtype()) << what;
  const auto a = to(got, DType::f64).to_vector<double>();
  const auto b = to(want, DType::f64).to_vector<double>();
  double largest = 0;
  for (const double value : b) largest = std::max(largest, std::abs(value));
  double error = 0;
  double norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_NEAR(a[i], b[i], tolerance * (std::abs(b[i]) + 0.1 * largest)) << what << ", element " << i;
    error += (a[i] - b[i]) * (a[i] - b[i]);
    norm += b[i] * b[i];
  }
  EXPECT_LE(std::sqrt(error), tolerance * std::sqrt(norm)) << what;
}

}  // namespace tutti::test
