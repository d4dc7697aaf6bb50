/// \file
/// What the library has to say goes to one sink, which the application can replace.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

namespace tutti::logging {

enum class Level : std::uint8_t { debug, info, warning, error };

/// Called by any thread, by one at a time; it must not log itself. What it throws goes no further.
using Sink = std::function<void(Level, std::string_view message)>;

/// Replaces the sink; an empty one silences the library. The default drops every message: a library does not
/// write to its host's streams unasked. Thread-safe. Returns the sink that was in place.
Sink set_sink(Sink sink);

/// Hands `message` to the sink. Thread-safe.
void write(Level level, std::string_view message);

}  // namespace tutti::logging
