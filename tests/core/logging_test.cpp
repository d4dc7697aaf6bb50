#include "tutti/core/logging.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

namespace tutti::logging {
namespace {

TEST(Logging, GoesToTheSinkAndNoFurther) {
  std::string seen;
  const Sink before = set_sink([&](Level level, std::string_view message) {
    seen += message;
    if (level == Level::error) throw std::runtime_error("a full disk");
  });
  write(Level::info, "one ");
  EXPECT_NO_THROW(write(Level::error, "two "));
  set_sink({});
  write(Level::info, "three");
  set_sink(before);
  EXPECT_EQ(seen, "one two ");
}

}  // namespace
}  // namespace tutti::logging
