#include "kernels/slow_blas.h"

#include <dlfcn.h>
#include <gmock/gmock.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "kernels/gemm.h"
#include "tutti/core/logging.h"

namespace tutti::kernels {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(SlowBlas, IsOneOfAnOlderProcessor) {
  EXPECT_THAT(slow_blas("Zen", true, false, nullptr), IsEmpty());
  EXPECT_THAT(slow_blas("Haswell", true, false, "Haswell"), IsEmpty());
  EXPECT_THAT(slow_blas("SkylakeX", true, true, nullptr), IsEmpty());
  EXPECT_THAT(slow_blas("zen4", true, true, nullptr), IsEmpty());
  EXPECT_THAT(slow_blas("Sandybridge", false, false, nullptr), IsEmpty());
  EXPECT_THAT(slow_blas("", true, true, nullptr), IsEmpty()) << "it does not tell";
  EXPECT_THAT(slow_blas("Haswell", true, true, "Haswell"),
              AllOf(HasSubstr("for Haswell, and the processor has AVX-512"),
                    HasSubstr("unset OPENBLAS_CORETYPE=Haswell")));
  EXPECT_THAT(slow_blas("Prescott", true, false, nullptr),
              AllOf(HasSubstr("the processor has AVX2"), HasSubstr("set OPENBLAS_CORETYPE=Haswell")));
  EXPECT_THAT(slow_blas("generic", true, true, nullptr), HasSubstr("set OPENBLAS_CORETYPE=SkylakeX"));
}

void multiply() {
  const float a = 3, b = 5;
  float c = 0;
  gemm<float>({false, false, 1, 1, 1, &a, 1, &b, 1, 0, &c, 1});
  EXPECT_EQ(c, 15);
}

void print(logging::Level level, std::string_view message) {
  std::printf("%s%.*s\n", level == logging::Level::warning ? "WARNING " : "", int(message.size()),
              message.data());
}

// OpenBLAS chooses when it is loaded: this runs itself in a process of its own, where it was made to choose.
TEST(SlowBlas, IsToldOnceAtTheFirstProduct) {
  const char* core = std::getenv("OPENBLAS_CORETYPE");
  if (core && std::string_view(core) == "Nehalem") {
    logging::set_sink(print);
    multiply();
    multiply();
    return void(logging::set_sink({}));
  }
#ifdef __x86_64__
  if (!::dlsym(RTLD_DEFAULT, "openblas_get_corename")) GTEST_SKIP() << "the BLAS is not OpenBLAS";
  if (!__builtin_cpu_supports("avx2")) GTEST_SKIP() << "any choice suits this processor";
  std::FILE* output = ::popen(
      "OPENBLAS_CORETYPE=Nehalem /proc/$PPID/exe --gtest_filter=SlowBlas.IsToldOnceAtTheFirstProduct", "r");
  ASSERT_NE(output, nullptr);
  std::string said;
  for (int c = std::fgetc(output); c != EOF; c = std::fgetc(output)) said.push_back(static_cast<char>(c));
  EXPECT_EQ(::pclose(output), 0) << said;
  const auto first = said.find("WARNING matrix products: the BLAS has chosen its kernels for Nehalem");
  EXPECT_NE(first, said.npos) << said;
  EXPECT_EQ(said.find("WARNING", first + 1), said.npos) << said;
#else
  GTEST_SKIP() << "not known of this processor";
#endif
}

}  // namespace
}  // namespace tutti::kernels
