#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "kernels/combine.h"
#include "tests/nccl/fake.h"

using tutti::fake::enqueue;
using tutti::fake::state;

namespace {

// Where the ranks of one communicator meet.
struct Room {
  struct Meeting {
    std::vector<const void*> in;
    int arrived = 0, read = 0;
  };
  struct Message {
    const void* data;
    std::size_t bytes;
    bool taken = false;
  };

  std::mutex mutex;
  std::condition_variable changed;
  int size = 0, joined = 0;
  std::map<std::uint64_t, Meeting> meetings;
  std::map<std::pair<int, int>, std::deque<std::shared_ptr<Message>>> mail;
};

// One rank's end, which what is queued on streams keeps.
struct End {
  std::shared_ptr<Room> room;
  int rank;
  bool aborted = false;  // with the room's lock

  template <typename Ready>
  bool wait(std::unique_lock<std::mutex>& lock, Ready ready) {
    room->changed.notify_all();
    room->changed.wait(lock, [&] { return aborted || ready(); });
    return !aborted;
  }
};

struct Transfer {
  bool sends;
  void* data;
  std::size_t bytes;
  int peer;
};

// What stands between ncclGroupStart and ncclGroupEnd.
thread_local int group_depth = 0;
thread_local std::vector<Transfer> transfers;
thread_local ncclComm_t group_comm = nullptr;
thread_local cudaStream_t group_stream = nullptr;

}  // namespace

struct ncclComm {
  std::shared_ptr<End> end;
  int in_progress = 3;  // looks until NCCL has done what it was told
  std::uint64_t turn = 0;
  std::set<void*> handles{};

  // A communicator that is still at its last call takes no other one.
  bool busy() { return in_progress > 0; }
  ncclResult_t begun() {
    in_progress = 3;
    return ncclInProgress;
  }
};

namespace {

// `reduce(inputs of all, out)` fills `bytes` bytes.
template <typename Reduce>
ncclResult_t meet(ncclComm_t comm, cudaStream_t stream, const void* in, void* out, std::size_t bytes,
                  Reduce reduce) {
  if (comm->busy() || group_depth > 0) return ncclInvalidUsage;
  enqueue(stream, [end = comm->end, turn = ++comm->turn, in, out, bytes, reduce] {
    Room& room = *end->room;
    std::unique_lock lock(room.mutex);
    Room::Meeting& meeting = room.meetings[turn];
    meeting.in.resize(static_cast<std::size_t>(room.size));
    meeting.in[static_cast<std::size_t>(end->rank)] = in;
    ++meeting.arrived;
    if (!end->wait(lock, [&] { return meeting.arrived == room.size; })) return;
    lock.unlock();
    std::vector<std::byte> result(bytes);
    reduce(meeting.in, result.data());
    lock.lock();
    ++meeting.read;
    if (!end->wait(lock, [&] { return meeting.read == room.size; })) return;
    lock.unlock();
    if (bytes > 0) std::memcpy(out, result.data(), bytes);
  });
  return comm->begun();
}

// Every other order than Tutti's: from the last rank to the first.
ncclResult_t reduce(const void* in, void* out, std::size_t count, std::size_t skip, ncclDataType_t type,
                    ncclRedOp_t op, ncclComm_t comm, cudaStream_t stream) {
  using tutti::DType;
  using tutti::ReduceOp;
  ++state().reductions;
  const std::map<int, DType> types{{ncclFloat32, DType::f32},   {ncclFloat64, DType::f64},
                                   {ncclBfloat16, DType::bf16}, {ncclFloat16, DType::f16},
                                   {ncclInt32, DType::i32},     {ncclInt64, DType::i64},
                                   {ncclUint8, DType::u8}};
  const std::map<int, ReduceOp> ops{{ncclSum, ReduceOp::sum},
                                    {ncclAvg, ReduceOp::avg},
                                    {ncclMin, ReduceOp::min},
                                    {ncclMax, ReduceOp::max},
                                    {ncclProd, ReduceOp::prod}};
  const DType dtype = types.at(type);
  return meet(comm, stream, in, out, count * size_of(dtype),
              [=, op = ops.at(op)](auto inputs, std::byte* result) {
                std::vector<const void*> reversed;
                for (auto i = inputs.rbegin(); i != inputs.rend(); ++i) {
                  reversed.push_back(static_cast<const std::byte*>(*i) + skip * size_of(dtype));
                }
                tutti::kernels::Combine::cpu(op, dtype, count, reversed, result);
              });
}

void deliver(End& end, const std::vector<Transfer>& batch) {
  Room& room = *end.room;
  std::vector<std::shared_ptr<Room::Message>> sent;
  std::unique_lock lock(room.mutex);
  for (const auto& [sends, data, bytes, peer] : batch) {
    if (!sends) continue;
    sent.push_back(std::make_shared<Room::Message>(Room::Message{data, bytes}));
    room.mail[{end.rank, peer}].push_back(sent.back());
  }
  for (const auto& [sends, data, bytes, peer] : batch) {
    if (sends) continue;
    auto& mail = room.mail[{peer, end.rank}];
    if (!end.wait(lock, [&] { return !mail.empty(); })) return;
    if (mail.front()->bytes != bytes) std::abort();
    std::memcpy(data, mail.front()->data, bytes);
    mail.front()->taken = true;
    mail.pop_front();
  }
  for (const auto& message : sent) {
    if (!end.wait(lock, [&] { return message->taken; })) return;
  }
  room.changed.notify_all();
}

void drop(ncclComm_t comm) {
  {
    std::scoped_lock lock(comm->end->room->mutex);
    comm->end->aborted = true;
    comm->end->room->changed.notify_all();
  }
  state().registrations -= static_cast<int>(comm->handles.size());
  --state().communicators;
  delete comm;
}

ncclResult_t transfer(Transfer transfer, ncclComm_t comm, cudaStream_t stream) {
  if (group_depth == 0 || comm->busy()) return ncclInvalidUsage;
  transfers.push_back(transfer);
  group_comm = comm;
  group_stream = stream;
  return ncclSuccess;
}

}  // namespace

extern "C" {

const char* ncclGetErrorString(ncclResult_t result) {
  return result == ncclRemoteError ? "remote process exited or there was a network error" : "a fake error";
}
const char* ncclGetLastError(ncclComm_t) { return "said the fake"; }

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  static std::atomic<std::uint64_t> last = 0;
  const std::uint64_t number = ++last;
  std::memcpy(id->internal, &number, sizeof number);
  return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int size, ncclUniqueId id, int rank,
                                    ncclConfig_t* config) {
  static std::mutex mutex;
  static std::map<std::uint64_t, std::shared_ptr<Room>> rooms;
  if (config->blocking != 0) return ncclInvalidArgument;
  std::uint64_t number;
  std::memcpy(&number, id.internal, sizeof number);
  std::scoped_lock lock(mutex);
  auto& room = rooms[number];
  if (!room) room = std::make_shared<Room>();
  std::scoped_lock inside(room->mutex);
  room->size = size;
  ++room->joined;
  *comm = new ncclComm{std::make_shared<End>(End{room, rank})};
  ++state().communicators;
  return ncclInProgress;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* result) {
  Room& room = *comm->end->room;
  std::scoped_lock lock(room.mutex);
  const bool waits = room.joined < room.size || (comm->busy() && --comm->in_progress > 0);
  *result = waits ? ncclInProgress : state().async_error.load();
  return ncclSuccess;
}

ncclResult_t ncclCommFinalize(ncclComm_t comm) { return comm->begun(); }
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  drop(comm);
  return ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t comm) {
  drop(comm);
  return ncclSuccess;
}

ncclResult_t ncclMemAlloc(void** memory, size_t bytes) {
  *memory = std::malloc(bytes);
  ++state().allocations;
  return ncclSuccess;
}
ncclResult_t ncclMemFree(void* memory) {
  std::free(memory);
  --state().allocations;
  return ncclSuccess;
}
ncclResult_t ncclCommRegister(ncclComm_t comm, void* memory, size_t, void** handle) {
  comm->handles.insert(*handle = memory);
  ++state().registrations;
  return ncclSuccess;
}
ncclResult_t ncclCommDeregister(ncclComm_t comm, void* handle) {
  if (comm->handles.erase(handle) == 0) return ncclInvalidArgument;
  --state().registrations;
  return ncclSuccess;
}

ncclResult_t ncclAllReduce(const void* in, void* out, size_t count, ncclDataType_t type, ncclRedOp_t op,
                           ncclComm_t comm, cudaStream_t stream) {
  return reduce(in, out, count, 0, type, op, comm, stream);
}
ncclResult_t ncclReduceScatter(const void* in, void* out, size_t count, ncclDataType_t type, ncclRedOp_t op,
                               ncclComm_t comm, cudaStream_t stream) {
  return reduce(in, out, count, count * static_cast<std::size_t>(comm->end->rank), type, op, comm, stream);
}
ncclResult_t ncclAllGather(const void* in, void* out, size_t count, ncclDataType_t, ncclComm_t comm,
                           cudaStream_t stream) {
  const auto size = static_cast<std::size_t>(comm->end->room->size);
  return meet(comm, stream, in, out, count * size, [count](const auto& inputs, std::byte* result) {
    for (std::size_t i = 0; count > 0 && i < inputs.size(); ++i)
      std::memcpy(result + i * count, inputs[i], count);
  });
}
ncclResult_t ncclBroadcast(const void* in, void* out, size_t count, ncclDataType_t, int root, ncclComm_t comm,
                           cudaStream_t stream) {
  return meet(comm, stream, in, out, count, [count, root](const auto& inputs, std::byte* result) {
    if (count > 0) std::memcpy(result, inputs[static_cast<std::size_t>(root)], count);
  });
}

ncclResult_t ncclGroupStart() {
  ++group_depth;
  return ncclSuccess;
}
ncclResult_t ncclSend(const void* data, size_t count, ncclDataType_t, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
  return transfer({true, const_cast<void*>(data), count, peer}, comm, stream);
}
ncclResult_t ncclRecv(void* data, size_t count, ncclDataType_t, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
  return transfer({false, data, count, peer}, comm, stream);
}
ncclResult_t ncclGroupEnd() {
  --group_depth;
  if (transfers.empty()) return ncclSuccess;
  enqueue(group_stream,
          [end = group_comm->end, batch = std::exchange(transfers, {})] { deliver(*end, batch); });
  return group_comm->begun();
}

}  // extern "C"
