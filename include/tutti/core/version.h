/// \file
/// The version of Tutti: the one place where it is written. CMake reads these three lines.
#pragma once

#define TUTTI_VERSION_MAJOR 0
#define TUTTI_VERSION_MINOR 1
#define TUTTI_VERSION_PATCH 0

namespace tutti {

/// The version of the library that was linked, as "major.minor.patch".
const char* version();

}  // namespace tutti
