// What the pieces of docs/data-parallel.md take for granted.
#pragma once

#include <tutti/tutti.h>

#include <cstdio>

extern tutti::Communicator world;
extern tutti::nn::Gpt model;
extern tutti::DataParallel parallel;
extern tutti::optim::AdamW optimizer;
extern tutti::data::TextLoader batches;
extern tutti::data::ImageLoader images;
extern tutti::Tensor loss, first_half, second_half;
extern int steps;

tutti::Tensor loss_of(const tutti::Tensor& part);
