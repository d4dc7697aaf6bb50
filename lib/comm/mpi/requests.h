// Messages under way.
#pragma once

#include <mpi.h>

#include <cstddef>
#include <vector>

namespace tutti::comm {

// Nonblocking sends and receives of raw bytes, of any size. What is unfinished when the object goes is
// cancelled.
class Requests {
 public:
  explicit Requests(MPI_Comm comm) : comm_(comm) {}
  ~Requests();
  Requests(const Requests&) = delete;
  Requests& operator=(const Requests&) = delete;

  void send(const void* data, std::size_t bytes, int to, int tag);
  void receive(void* data, std::size_t bytes, int from, int tag);

  // The place for the request of one of MPI's own collectives, which waits for no rank in particular (-1) and
  // cannot be cancelled.
  MPI_Request* collective();

  // Lets MPI make progress; true when everything is finished.
  bool test();
  // The ranks whose messages have not come, or where none is missing, that have not taken theirs; ascending.
  std::vector<int> unfinished() const;

 private:
  MPI_Comm comm_;
  std::vector<MPI_Request> requests_;
  std::vector<int> peers_;
  std::vector<bool> receives_;
  std::vector<int> indices_;
};

}  // namespace tutti::comm
