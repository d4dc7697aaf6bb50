#include "comm/mpi/requests.h"

#include <algorithm>
#include <climits>

#include "comm/mpi/session.h"

namespace tutti::comm {
namespace {

// `bytes` bytes as a count of some type: MPI counts with int.
class Block {
 public:
  explicit Block(std::size_t bytes) {
    if (bytes <= INT_MAX) {
      count = static_cast<int>(bytes);
      return;
    }
    constexpr std::size_t unit = 1 << 30;
    const int lengths[] = {static_cast<int>(bytes / unit), static_cast<int>(bytes % unit)};
    const MPI_Aint offsets[] = {0, static_cast<MPI_Aint>(bytes - bytes % unit)};
    MPI_Datatype unit_type;
    check_mpi(MPI_Type_contiguous(unit, MPI_BYTE, &unit_type), "MPI_Type_contiguous");
    const MPI_Datatype types[] = {unit_type, MPI_BYTE};
    check_mpi(MPI_Type_create_struct(2, lengths, offsets, types, &type), "MPI_Type_create_struct");
    MPI_Type_free(&unit_type);
    check_mpi(MPI_Type_commit(&type), "MPI_Type_commit");
    count = 1;
  }
  ~Block() {
    if (type != MPI_BYTE) MPI_Type_free(&type);
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  MPI_Datatype type = MPI_BYTE;
  int count = 0;
};

}  // namespace

Requests::~Requests() {
  for (std::size_t i = 0; i < requests_.size(); ++i) {
    if (requests_[i] == MPI_REQUEST_NULL || peers_[i] < 0) continue;
    if (receives_[i]) MPI_Cancel(&requests_[i]);
    MPI_Request_free(&requests_[i]);
  }
}

void Requests::send(const void* data, std::size_t bytes, int to, int tag) {
  const Block block(bytes);
  MPI_Request request;
  check_mpi(MPI_Isend(data, block.count, block.type, to, tag, comm_, &request), "MPI_Isend");
  requests_.push_back(request);
  peers_.push_back(to);
  receives_.push_back(false);
}

void Requests::receive(void* data, std::size_t bytes, int from, int tag) {
  const Block block(bytes);
  MPI_Request request;
  check_mpi(MPI_Irecv(data, block.count, block.type, from, tag, comm_, &request), "MPI_Irecv");
  requests_.push_back(request);
  peers_.push_back(from);
  receives_.push_back(true);
}

MPI_Request* Requests::collective() {
  requests_.push_back(MPI_REQUEST_NULL);
  peers_.push_back(-1);
  receives_.push_back(true);
  return &requests_.back();
}

bool Requests::test() {
  indices_.resize(requests_.size());
  int finished = 0;
  check_mpi(MPI_Testsome(static_cast<int>(requests_.size()), requests_.data(), &finished, indices_.data(),
                         MPI_STATUSES_IGNORE),
            "MPI_Testsome");
  return std::all_of(requests_.begin(), requests_.end(), [](MPI_Request r) { return r == MPI_REQUEST_NULL; });
}

std::vector<int> Requests::unfinished() const {
  std::vector<int> ranks;
  for (const bool receives : {true, false}) {
    for (std::size_t i = 0; i < requests_.size(); ++i) {
      if (requests_[i] != MPI_REQUEST_NULL && receives_[i] == receives) ranks.push_back(peers_[i]);
    }
    if (!ranks.empty()) break;
  }
  std::sort(ranks.begin(), ranks.end());
  return ranks;
}

}  // namespace tutti::comm
