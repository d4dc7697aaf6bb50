// MPI in this process: who initialises it, and who finalises it.
#pragma once

#include <mpi.h>

#include <atomic>
#include <memory>

namespace tutti::comm {

// Shared by all communicators. An MPI that the application initialised is left alone; one that was
// initialised here is finalised with the last communicator.
class MpiSession {
 public:
  static std::shared_ptr<MpiSession> join(int* argc, char*** argv);
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  // After a failure the other ranks may never finalise, and waiting for them would hang: the process is left
  // to end without, which tells mpirun to end the job.
  void fail() { failed_ = true; }

  // Whether any thread may call MPI, at any time.
  bool threaded() const { return threaded_; }

  // Whether MPI functions may still be called: the application may finalise before the last communicator
  // goes.
  static bool usable();

 private:
  MpiSession(int* argc, char*** argv);

  bool ours_ = false;
  bool threaded_ = false;
  std::atomic<bool> failed_ = false;
};

// Throws CommError with MPI's own text unless `code` is MPI_SUCCESS.
void check_mpi(int code, const char* what);

}  // namespace tutti::comm
