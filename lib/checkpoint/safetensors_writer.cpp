#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "checkpoint/atomic_file.h"
#include "checkpoint/safetensors_dtype.h"
#include "tutti/checkpoint/safetensors.h"
#include "tutti/core/error.h"

namespace tutti::safetensors {
namespace {

// The order of the reference implementation: wide elements first, so that all stay aligned; then by name.
std::vector<const Item*> in_file_order(std::span<const Item> items) {
  std::vector<const Item*> order;
  for (const auto& item : items) order.push_back(&item);
  std::ranges::sort(order, [](const Item* a, const Item* b) {
    const auto* dtype_a = &format_dtype(a->data.dtype);
    const auto* dtype_b = &format_dtype(b->data.dtype);
    return dtype_a != dtype_b ? dtype_a > dtype_b : a->name < b->name;
  });
  return order;
}

void check(const std::string& path, const std::vector<const Item*>& order) {
  const auto refuse = [&](const std::string& rule) {
    throw CheckpointError(fmt::format("safetensors: cannot write {}: {}", path, rule), path);
  };
  std::vector<std::string_view> names;
  for (const auto* item : order) {
    names.push_back(item->name);
    if (item->name == "__metadata__") refuse("no tensor may have the name \"__metadata__\"");
    if (!item->data.device.is_cpu())
      refuse(fmt::format("tensor \"{}\" is on {}", item->name, item->data.device.str()));
    if (static_cast<std::size_t>(item->shape.numel()) != item->data.count) {
      refuse(fmt::format("tensor \"{}\" has shape {} and {} elements", item->name, item->shape.str(),
                         item->data.count));
    }
  }
  std::ranges::sort(names);
  const auto twice = std::ranges::adjacent_find(names);
  if (twice != names.end()) refuse(fmt::format("two tensors have the name \"{}\"", *twice));
}

// Throws nlohmann's type_error for text that is no UTF-8.
std::string quoted(const std::string& text) { return nlohmann::json(text).dump(); }

std::string header_text(const std::vector<const Item*>& order, const Metadata& metadata) {
  std::vector<std::string> members;
  if (!metadata.empty()) {
    std::vector<std::string> pairs;
    for (const auto& [key, value] : metadata) pairs.push_back(quoted(key) + ":" + quoted(value));
    members.push_back(fmt::format("\"__metadata__\":{{{}}}", fmt::join(pairs, ",")));
  }
  std::uint64_t begin = 0;
  for (const auto* item : order) {
    const auto end = begin + item->data.bytes();
    members.push_back(fmt::format(R"({}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                                  quoted(item->name), format_dtype(item->data.dtype).name,
                                  fmt::join(item->shape.begin(), item->shape.end(), ","), begin, end));
    begin = end;
  }
  auto text = fmt::format("{{{}}}", fmt::join(members, ","));
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

std::string checked_header_text(const std::string& path, const std::vector<const Item*>& order,
                                const Metadata& metadata) {
  std::string text;
  try {
    text = header_text(order, metadata);
  } catch (const nlohmann::json::exception& error) {
    throw CheckpointError(
        fmt::format("safetensors: cannot write {}: a name or note is no UTF-8: {}", path, error.what()),
        path);
  }
  if (text.size() > max_header_bytes) {
    throw CheckpointError(
        fmt::format("safetensors: cannot write {}: a header has at most {} bytes, this has {}", path,
                    max_header_bytes, text.size()),
        path);
  }
  return text;
}

}  // namespace

void write(const std::string& path, std::span<const Item> items, const Metadata& metadata) {
  const auto order = in_file_order(items);
  check(path, order);
  const auto header = checked_header_text(path, order, metadata);
  const std::uint64_t length = header.size();
  checkpoint::AtomicFile file(path);
  file.write(&length, sizeof length);
  file.write(header.data(), header.size());
  for (const auto* item : order) file.write(item->data.data, item->data.bytes());
  file.commit();
}

void save(const std::string& path, const NamedTensors& tensors, const Metadata& metadata) {
  std::vector<Tensor> on_host;  // keeps alive what the items point into
  std::vector<Item> items;
  for (const auto& [name, tensor] : tensors) {
    if (!tensor.defined()) {
      throw CheckpointError(
          fmt::format("safetensors: cannot write {}: tensor \"{}\" is undefined", path, name), path);
    }
    on_host.push_back(tensor.detach().to(Device::cpu()).contiguous());
    items.push_back({name, tensor.shape(), on_host.back()});
  }
  write(path, items, metadata);
}

}  // namespace tutti::safetensors
