#include "checkpoint/secret.h"

#include <string.h>  // explicit_bzero
#include <sys/mman.h>

#include <new>

#include "checkpoint/crypto.h"

namespace tutti::checkpoint {

Secret::Secret(std::size_t bytes) : bytes_(bytes) {
  void* const pages = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) throw std::bad_alloc();
  data_ = static_cast<std::byte*>(pages);
  // Each as far as the system grants it: a low limit of locked memory is no reason to lose a checkpoint.
  ::mlock(pages, bytes);
  ::madvise(pages, bytes, MADV_DONTDUMP);
  ::madvise(pages, bytes, MADV_WIPEONFORK);
}

Secret::~Secret() {
  if (data_ == nullptr) return;
  ::explicit_bzero(data_, bytes_);
  ::munmap(data_, bytes_);
}

Key Key::random() {
  Key key;
  random_bytes(key.bytes());
  return key;
}

}  // namespace tutti::checkpoint
