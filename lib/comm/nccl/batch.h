// Messages that NCCL runs at once.
#pragma once

#include <nccl.h>

#include <cstddef>

namespace tutti::comm {

// Bytes, whatever they stand for. Every batch is ended, also where a call in it has failed.
class Batch {
 public:
  Batch(ncclComm_t comm, cudaStream_t stream) : comm_(comm), stream_(stream) { note(ncclGroupStart()); }
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  void send(const void* from, std::size_t bytes, int to) {
    if (bytes != 0) note(ncclSend(from, bytes, ncclUint8, to, comm_, stream_));
  }
  void receive(void* to, std::size_t bytes, int from) {
    if (bytes != 0) note(ncclRecv(to, bytes, ncclUint8, from, comm_, stream_));
  }

  // What the first failed call said, or else the end.
  ncclResult_t end() {
    const ncclResult_t ended = ncclGroupEnd();
    return failed_ == ncclSuccess ? ended : failed_;
  }

 private:
  void note(ncclResult_t result) {
    if (failed_ == ncclSuccess && result != ncclInProgress) failed_ = result;
  }

  ncclComm_t comm_;
  cudaStream_t stream_;
  ncclResult_t failed_ = ncclSuccess;
};

}  // namespace tutti::comm
