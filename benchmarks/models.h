// The models that `tutti-bench train` trains.
#pragma once

#include <memory>

#include "benchmarks/train.h"
#include "tutti/nn/module.h"

namespace tutti::bench {

inline constexpr const char* model_names[] = {"gpt", "mlp", "cnn", "lenet", "resnet20"};

std::unique_ptr<nn::Module> make_model(const TrainSettings& train);

}  // namespace tutti::bench
