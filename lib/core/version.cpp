#include "tutti/core/version.h"

#define TUTTI_STRINGIFY(x) #x
#define TUTTI_VERSION_TEXT(major, minor, patch) \
  TUTTI_STRINGIFY(major) "." TUTTI_STRINGIFY(minor) "." TUTTI_STRINGIFY(patch)

namespace tutti {

const char* version() {
  return TUTTI_VERSION_TEXT(TUTTI_VERSION_MAJOR, TUTTI_VERSION_MINOR, TUTTI_VERSION_PATCH);
}

}  // namespace tutti
