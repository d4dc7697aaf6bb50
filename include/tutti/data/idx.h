/// \file
/// IDX files, in which MNIST and its kin are published: http://yann.lecun.com/exdb/mnist.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tutti/core/dtype.h"
#include "tutti/core/shape.h"

namespace tutti::data {

/// The contents of an IDX file: elements in the machine's byte order, row-major.
struct IdxFile {
  DType dtype = DType::u8;
  Shape shape;
  std::vector<std::byte> bytes;
};

/// Reads an IDX file, compressed by gzip or not: its content tells.
/// \throws DataError naming the file when it cannot be read, is no IDX file, has elements that Tutti lacks
///         (int8, int16), is truncated, or goes on behind its last element.
IdxFile read_idx(const std::string& path);

/// The same from memory; `name` stands for the file in errors. Takes memory in proportion to the elements
/// that really are there, whatever the sizes claim.
IdxFile parse_idx(std::span<const std::byte> bytes, std::string_view name);

}  // namespace tutti::data
