// Fits y = 2x + 1 by gradient descent: tensors, gradients and ranks from a program of your own.
#include <tutti/tutti.h>

#include <cstdio>

int main(int argc, char** argv) try {
  tutti::World world(argc, argv);

  const tutti::Tensor x = tutti::arange(0, 1, 0.1, {.dtype = tutti::DType::f32});
  const tutti::Tensor y = x * 2 + 1;
  tutti::Tensor slope = tutti::zeros({}).set_requires_grad();
  tutti::Tensor offset = tutti::zeros({}).set_requires_grad();

  for (int step = 0; step < 500; ++step) {
    tutti::mean(tutti::square(x * slope + offset - y)).backward();
    for (tutti::Tensor* parameter : {&slope, &offset}) {
      tutti::Tensor gradient = parameter->grad();
      world.all_reduce(gradient, tutti::ReduceOp::avg);
      parameter->add_(gradient, -0.5);
      gradient.zero_();
    }
  }
  if (world.rank() == 0) std::printf("y = %.2f x + %.2f\n", slope.item(), offset.item());
} catch (const tutti::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
