// The command line of tutti-ckpt.
#pragma once

#include <functional>
#include <variant>

namespace tutti::ckpt {

// What the user asks for, to be called; or the exit code where the command line itself was all: --help, or an error.
using Request = std::variant<std::function<int()>, int>;
Request parse(int argc, const char* const* argv);

}  // namespace tutti::ckpt
