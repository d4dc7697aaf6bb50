// What an error says.
#pragma once

#include <functional>
#include <string>

#include "tutti/core/error.h"

namespace tutti::test {

// The message of the E that `body` throws.
template <typename E = Error>
std::string message_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const E& error) {
    return error.what();
  }
  return "nothing was thrown";
}

}  // namespace tutti::test
