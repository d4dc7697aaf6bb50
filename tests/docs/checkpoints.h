// What the pieces of docs/checkpoints.md take for granted.
#pragma once

#include <cstddef>
#include <iostream>
#include <span>

#include "tests/docs/data_parallel.h"

std::span<const std::byte> next_rows();
void train(tutti::nn::Gpt& gpt);
