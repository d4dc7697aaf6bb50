#include "tests/faults/allocations.h"

#include <dlfcn.h>
#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace tutti::test {
namespace {

std::atomic<bool> counting = false;
std::atomic<int> allocations = 0;
std::atomic<int> place = 0;
std::atomic<bool> for_ever = false;

bool fails() {
  if (!counting) return false;
  const int number = ++allocations;
  return number == place || (for_ever && number > place);
}

void* allocate(std::size_t bytes, std::size_t alignment) {
  void* memory = nullptr;
  if (fails() || ::posix_memalign(&memory, alignment, bytes) != 0) throw std::bad_alloc();
  return memory;
}

}  // namespace

void arm_allocations(int at, bool lasting) {
  place = at;
  for_ever = lasting;
  allocations = 0;
  counting = true;
}

int disarm_allocations() {
  counting = false;
  return allocations;
}

}  // namespace tutti::test

void* operator new(std::size_t bytes) { return tutti::test::allocate(bytes, alignof(std::max_align_t)); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return tutti::test::allocate(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

extern "C" void* mmap(void* address, size_t bytes, int protection, int flags, int descriptor,
                      off_t offset) noexcept {
  static const auto next = reinterpret_cast<decltype(&::mmap)>(::dlsym(RTLD_NEXT, "mmap"));
  if (!tutti::test::fails()) return next(address, bytes, protection, flags, descriptor, offset);
  errno = ENOMEM;
  return MAP_FAILED;
}
