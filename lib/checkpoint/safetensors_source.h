// What an import reads: a safetensors file, or several by an index.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "tutti/checkpoint/safetensors.h"

namespace tutti::checkpoint {

class SafetensorsSource {
 public:
  struct Place {
    const safetensors::Entry* entry;
    const safetensors::Reader* reader;
  };

  // `path` is an index where it ends with ".json". Throws CheckpointError, also where index and files do not tell of the same
  // tensors.
  explicit SafetensorsSource(const std::string& path);

  // File by file.
  const std::vector<Place>& tensors() const { return tensors_; }

 private:
  void open(const std::string& path);
  void open_index(const std::string& path);

  std::deque<safetensors::Reader> readers_;
  std::vector<Place> tensors_;
};

}  // namespace tutti::checkpoint
