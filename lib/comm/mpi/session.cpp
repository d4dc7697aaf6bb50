#include "comm/mpi/session.h"

#include <fmt/format.h>

#include <exception>
#include <mutex>
#include <string_view>

#include "tutti/core/error.h"
#include "tutti/core/logging.h"

namespace tutti::comm {

void check_mpi(int code, const char* what) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw CommError(fmt::format("{}: {}", what, std::string_view(text, static_cast<std::size_t>(length))), what,
                  0, -1);
}

bool MpiSession::usable() {
  int initialized = 0, finalized = 0;
  MPI_Initialized(&initialized);
  MPI_Finalized(&finalized);
  return initialized && !finalized;
}

std::shared_ptr<MpiSession> MpiSession::join(int* argc, char*** argv) {
  // MPI itself is one for the whole process.
  static std::mutex mutex;
  static std::weak_ptr<MpiSession> current;
  std::scoped_lock lock(mutex);
  auto session = current.lock();
  if (!session) current = session = std::shared_ptr<MpiSession>(new MpiSession(argc, argv));
  return session;
}

MpiSession::MpiSession(int* argc, char*** argv) {
  int finalized = 0;
  MPI_Finalized(&finalized);
  if (finalized)
    throw ConfigError("World: MPI was finalised in this process, and cannot be initialised again");
  int granted = MPI_THREAD_SINGLE;
  if (usable()) {
    MPI_Query_thread(&granted);
  } else {
    check_mpi(MPI_Init_thread(argc, argv, MPI_THREAD_MULTIPLE, &granted), "MPI_Init_thread");
    ours_ = true;
  }
  threaded_ = granted == MPI_THREAD_MULTIPLE;
  if (!threaded_) {
    logging::write(
        logging::Level::warning,
        "MPI does not grant MPI_THREAD_MULTIPLE: use communicators from one thread; collectives that are "
        "started without waiting run at once");
  }
}

MpiSession::~MpiSession() {
  if (ours_ && !failed_ && std::uncaught_exceptions() == 0 && usable()) MPI_Finalize();
}

}  // namespace tutti::comm
