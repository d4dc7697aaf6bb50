#include <fmt/format.h>

#include <algorithm>

#include "tutti/core/error.h"
#include "tutti/data/idx.h"
#include "tutti/data/image_loader.h"
#include "tutti/tensor/creation.h"

namespace tutti::data {
namespace {

IdxFile read(const std::string& path, const char* what, int rank) {
  auto file = read_idx(path);
  if (file.dtype != DType::u8 || file.shape.rank() != rank) {
    throw DataError(fmt::format("mnist: {}: {} are u8 of {} dimensions, this file holds {} {}", path, what,
                                rank, name_of(file.dtype), file.shape.str()));
  }
  return file;
}

Tensor to_tensor(const IdxFile& file) {
  return from_host({file.bytes.data(), file.bytes.size(), file.dtype}, file.shape, Device::cpu());
}

}  // namespace

ImageSet read_mnist(const std::string& images, const std::string& labels, std::int64_t classes) {
  const auto image_file = read(images, "images", 3);
  const auto label_file = read(labels, "labels", 1);
  if (image_file.shape[0] != label_file.shape[0]) {
    throw DataError(fmt::format("mnist: {} images in {}, but {} labels in {}", image_file.shape[0], images,
                                label_file.shape[0], labels));
  }
  if (image_file.shape.numel() == 0) {
    throw DataError(fmt::format("mnist: {} holds no pixels: {}", images, image_file.shape.str()));
  }
  const auto bad =
      std::ranges::find_if(label_file.bytes, [&](std::byte b) { return std::to_integer<int>(b) >= classes; });
  if (bad != label_file.bytes.end()) {
    throw DataError(fmt::format("mnist: {}: label {} is {}, and there are {} classes", labels,
                                bad - label_file.bytes.begin(), std::to_integer<int>(*bad), classes));
  }
  return {to_tensor(image_file), to_tensor(label_file).to(DType::i64)};
}

ImageSet ImageSet::slice(std::int64_t begin, std::int64_t end) const {
  if (begin < 0 || begin > end || end > size()) {
    throw ShapeError(fmt::format("image set: images {} to {} of {}", begin, end, size()));
  }
  return {images.slice(0, begin, end), labels.slice(0, begin, end)};
}

}  // namespace tutti::data
