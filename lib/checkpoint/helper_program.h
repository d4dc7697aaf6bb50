// A program that is given a few bytes and answers with a few.
#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace tutti::checkpoint {

// What it is given and answers at most: a pipe takes that much without a reader.
inline constexpr std::size_t max_helper_bytes = 4096;

// Runs `arguments` (the first one found by PATH) with `variable` added to the environment, `input` on its standard
// input, and puts its standard output into `output`; returns the number of bytes. Throws CheckpointError when it cannot
// be started, answers more than `output` holds, ends other than by exit code 0 (with the last line of its standard
// error), or is not done in time: it is killed then, with what it started.
std::size_t run_helper(const std::vector<std::string>& arguments, const std::string& variable,
                       std::span<const std::byte> input, std::span<std::byte> output,
                       std::chrono::milliseconds timeout);

}  // namespace tutti::checkpoint
