// What the pieces of docs/cuda.md take for granted.
#pragma once

#include <tutti/tutti.h>

#include <vector>

struct Batch {
  tutti::Tensor x, y;
};

extern tutti::Device gpu;
extern tutti::Tensor x, y, loss;
extern tutti::nn::Linear model;
extern tutti::optim::AdamW optimizer;
extern std::vector<Batch> loader;

tutti::Tensor expensive(const tutti::Tensor& x);
