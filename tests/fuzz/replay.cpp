// Runs a fuzz target over its corpus, in builds without libFuzzer. Takes libFuzzer's command line: files and
// directories; options are passed over.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <vector>

#include "tests/support/files.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int main(int argc, char** argv) {
  namespace fs = std::filesystem;
  std::vector<fs::path> inputs;
  for (int i = 1; i < argc; ++i) {
    if (argv[i][0] == '-') continue;
    if (fs::is_directory(argv[i])) {
      inputs.insert(inputs.end(), fs::directory_iterator(argv[i]), fs::directory_iterator());
    } else {
      inputs.emplace_back(argv[i]);
    }
  }
  std::ranges::sort(inputs);
  for (const auto& input : inputs) {
    std::fprintf(stderr, "%s\n", input.c_str());  // the last one named is the one that failed
    const auto bytes = tutti::test::read_file(input.string());
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  }
  return inputs.empty() ? 1 : 0;
}
