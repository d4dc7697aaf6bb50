// The floor: what a copy of a buffer takes.
#pragma once

#include "benchmarks/buffer.h"
#include "benchmarks/timing.h"

namespace tutti::bench {

// Every rank copies a buffer to another one, at the same time, by std::memcpy, in private memory. An all-reduce in
// place must read each rank's buffer once and write it once, which is as many bytes.
class Copy {
 public:
  Copy(Communicator& comm, std::size_t count, DType dtype);
  Contestant contestant() const;

 private:
  Buffer from_, to_;
};

}  // namespace tutti::bench
