#include "tutti/autograd/float32_matmul.h"

#include <cstdlib>
#include <string_view>

namespace tutti {
namespace {

Float32Precision from_environment() {
  const char* text = std::getenv("TUTTI_TF32");
  return text != nullptr && std::string_view(text) == "1" ? Float32Precision::tf32 : Float32Precision::full;
}

Float32Precision& precision_of_thread() {
  static const Float32Precision usual = from_environment();
  thread_local Float32Precision precision = usual;
  return precision;
}

}  // namespace

Float32Precision float32_matmul_precision() { return precision_of_thread(); }

Float32Matmul::Float32Matmul(Float32Precision precision) : before_(precision_of_thread()) {
  precision_of_thread() = precision;
}

Float32Matmul::~Float32Matmul() { precision_of_thread() = before_; }

}  // namespace tutti
