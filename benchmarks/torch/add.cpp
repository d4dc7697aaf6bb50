// The smallest operation in PyTorch's C++ interface, measured as tutti-bench ops does; versus_torch_add.py builds it.
// usage: add ROUNDS      prints a JSON object: microseconds of each, the median of the rounds
#include <torch/torch.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

template <typename Call>
double seconds_of(const Call& call, int times) {
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < times; ++i) call();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / times;
}

template <typename Call>
double microseconds_of(const Call& call, int rounds) {
  seconds_of(call, 1000);
  const int times = std::max(1, static_cast<int>(2e-3 / seconds_of(call, 100)));
  std::vector<double> seconds;
  for (int round = 0; round < rounds; ++round) seconds.push_back(seconds_of(call, times));
  std::nth_element(seconds.begin(), seconds.begin() + rounds / 2, seconds.end());
  return seconds[static_cast<std::size_t>(rounds / 2)] * 1e6;
}

int main(int count, char** arguments) {
  const int rounds = count > 1 ? std::max(1, std::atoi(arguments[1])) : 5;
  torch::set_num_threads(1);
  torch::Tensor x = torch::randn({16}), y = torch::randn({16});
  const double plain = microseconds_of([&] { x + y; }, rounds);
  x.set_requires_grad(true);
  y.set_requires_grad(true);
  const torch::Tensor g = torch::full({16}, 0.5);
  const auto recorded = [&] {
    x.mutable_grad() = torch::Tensor();
    y.mutable_grad() = torch::Tensor();
    (x + y).backward(g);
  };
  std::printf("{\"add of 16 numbers\": %.4f, \"add of 16 numbers, gradients too\": %.4f, \"torch\": \"%s\"}\n", plain,
              microseconds_of(recorded, rounds), TORCH_VERSION);
}
