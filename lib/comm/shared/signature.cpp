#include "comm/shared/signature.h"

#include <fmt/format.h>

#include <cstring>
#include <string_view>

namespace tutti::comm {
namespace {

std::uint64_t key_of(const char* name) {
  char start[sizeof(std::uint64_t)] = {};
  std::memcpy(start, name, ::strnlen(name, sizeof start));
  std::uint64_t key;
  std::memcpy(&key, start, sizeof key);
  return key;
}

std::string name_of_key(std::uint64_t key) {
  for (const char* name : {"all_reduce", "reduce_scatter", "all_gather", "broadcast", "all_to_all"}) {
    if (key_of(name) == key) return name;
  }
  char start[sizeof key];
  std::memcpy(start, &key, sizeof key);
  return {start, ::strnlen(start, sizeof start)};
}

}  // namespace

std::string Signature::str() const {
  std::string text = fmt::format("{}({}[{}]", name_of_key(name), name_of(dtype), count);
  if (pieces > 0) text += fmt::format(" in {} pieces", pieces);
  if (op != no_op) text += fmt::format(", {}", name_of(static_cast<ReduceOp>(op)));
  if (op != no_op && order == ReduceOrder::any) text += ", in any order";
  if (root >= 0) text += fmt::format(", root {}", root);
  return text + ")";
}

Signature make_signature(const Backend::Call& call, std::uint64_t count, DType dtype) {
  return {.name = key_of(call.name),
          .count = count,
          .sequence = static_cast<std::uint32_t>(call.sequence),
          .root = -1,
          .dtype = dtype,
          .op = Signature::no_op,
          .order = call.order,
          .direct = false,
          .pieces = call.pieces};
}

}  // namespace tutti::comm
