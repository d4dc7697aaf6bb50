// Whether the installed BLAS works below what the processor can do.
#pragma once

#include <string>
#include <string_view>

namespace tutti::kernels {

// What to tell the user of a BLAS with kernels for `core`, as OpenBLAS and BLIS name it, on a processor with AVX2 or AVX-512;
// empty where they suit it or `core` is. `asked` is OPENBLAS_CORETYPE, which decides in OpenBLAS, or null.
std::string slow_blas(std::string_view core, bool avx2, bool avx512, const char* asked);

}  // namespace tutti::kernels
