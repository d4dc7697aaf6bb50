#include "checkpoint/safetensors_source.h"

#include <fmt/format.h>

#include <filesystem>
#include <map>
#include <system_error>

#include "checkpoint/atomic_file.h"
#include "checkpoint/directory.h"
#include "checkpoint/strict_json.h"
#include "tutti/core/error.h"

namespace tutti::checkpoint {

SafetensorsSource::SafetensorsSource(const std::string& path) {
  if (path.ends_with(".json")) {
    open_index(path);
  } else {
    open(path);
  }
}

void SafetensorsSource::open(const std::string& path) {
  const auto& reader = readers_.emplace_back(path);
  for (const auto& entry : reader.entries()) tensors_.push_back({&entry, &reader});
}

void SafetensorsSource::open_index(const std::string& path) {
  const auto refuse = [&](const std::string& rule) {
    throw CheckpointError(fmt::format("checkpoint: {}: {}", path, rule), path);
  };
  // A cache of downloads has links.
  std::error_code error;
  const auto real = std::filesystem::canonical(path, error);
  if (error)
    throw CheckpointError(fmt::format("checkpoint: cannot open {}: {}", path, error.message()), path);
  const auto text =
      Directory(real.parent_path().string()).read(real.filename().string(), safetensors::max_header_bytes);
  const Directory directory(parent_directory(path));
  const auto index = parse_strict(text, path, 8);
  const auto map = index.is_object() ? index.find("weight_map") : index.end();
  if (!index.is_object() || map == index.end() || !map->is_object())
    refuse("an index has the object \"weight_map\"");
  std::map<std::string, std::size_t> files;  // and how many tensors each has
  for (const auto& [tensor, file] : map->items()) {
    if (!file.is_string()) refuse(fmt::format("the file of tensor {} must be a string", in_quotes(tensor)));
    const auto name = file.get<std::string>();
    // Files lie beside the index, and nowhere else.
    if (name.empty() || name.find_first_of(std::string_view("/\0", 2)) != std::string::npos || name == "..")
      refuse(fmt::format("tensor {} cannot be in a file named {}", in_quotes(tensor), in_quotes(name)));
    ++files[name];
  }
  for (const auto& [name, count] : files) {
    open(directory.path(name));
    for (const auto& entry : readers_.back().entries()) {
      const auto told = map->find(entry.name);
      if (told == map->end())
        refuse(fmt::format("it does not tell of tensor {}, which is in {}", in_quotes(entry.name), name));
      if (*told != name) {
        refuse(fmt::format("tensor {} is in {}, and it says {}", in_quotes(entry.name), name,
                           told->get<std::string>()));
      }
    }
    if (readers_.back().entries().size() != count) {
      for (const auto& [tensor, file] : map->items()) {
        if (file == name) readers_.back().at(tensor);  // throws for the one that is missing
      }
    }
  }
}

}  // namespace tutti::checkpoint
