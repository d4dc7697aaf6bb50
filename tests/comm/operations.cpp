#include "operations.h"

#include <cstdlib>

namespace tutti::test {
namespace {

struct Buffers {
  const Memory& memory;
  const Arguments& arguments;

  // `blocks` blocks of each buffer.
  ConstBufferView in(int blocks) const { return view(arguments.null ? nullptr : memory.in, blocks); }
  BufferView out(int blocks) const {
    return view(arguments.overlap ? memory.in + sizeof(float) : memory.out, blocks);
  }
  BufferView inout() const { return view(arguments.null ? nullptr : memory.in, 1); }
  // What a rank expects, whatever it gives itself.
  BufferView expected() const { return {memory.out, memory.count, DType::f32}; }

 private:
  BufferView view(std::byte* data, int blocks) const {
    return {data, arguments.count * static_cast<std::size_t>(blocks), arguments.dtype};
  }
};

int next(const Communicator& comm) { return (comm.rank() + 1) % comm.size(); }
int previous(const Communicator& comm) { return (comm.rank() + comm.size() - 1) % comm.size(); }

}  // namespace

Memory::Memory(Communicator& comm, std::size_t count, bool registered) : count(count) {
  const std::size_t bytes = (count + 1) * static_cast<std::size_t>(comm.size()) * sizeof(float);
  owner = registered ? comm.allocate(2 * bytes) : std::shared_ptr<void>(std::calloc(2, bytes), std::free);
  in = static_cast<std::byte*>(owner.get());
  out = in + bytes;
}

const std::vector<Operation>& operations() {
  using C = Communicator;
  using M = Memory;
  using A = Arguments;
  static const std::vector<Operation> all{
      {"all_reduce", "", true, true, true, true, false, false,
       [](C& comm, const M& m, const A& a) {
         comm.all_reduce(Buffers{m, a}.in(1), Buffers{m, a}.out(1), a.op);
       }},
      {"reduce_scatter", "", true, true, true, true, false, false,
       [](C& comm, const M& m, const A& a) {
         comm.reduce_scatter(Buffers{m, a}.in(comm.size()), Buffers{m, a}.out(1), a.op);
       }},
      {"all_gather", "", true, true, true, false, false, false,
       [](C& comm, const M& m, const A& a) {
         comm.all_gather(Buffers{m, a}.in(1), Buffers{m, a}.out(comm.size()));
       }},
      {"broadcast", "", true, true, false, false, true, false,
       [](C& comm, const M& m, const A& a) {
         comm.broadcast(Buffers{m, a}.inout(), a.root);
       }},
      {"all_to_all", "", true, true, true, false, false, false,
       [](C& comm, const M& m, const A& a) {
         comm.all_to_all(Buffers{m, a}.in(comm.size()), Buffers{m, a}.out(comm.size()));
       }},
      {"gather", "", true, true, false, false, true, false,
       [](C& comm, const M& m, const A& a) {
         comm.gather(Buffers{m, a}.in(1), Buffers{m, a}.out(comm.size()), a.root);
       }},
      {"scatter", "", true, false, false, false, true, false,
       [](C& comm, const M& m, const A& a) {
         comm.scatter(Buffers{m, a}.in(comm.size()), Buffers{m, a}.out(1), a.root);
       }},
      {"barrier", "", false, false, false, false, false, false,
       [](C& comm, const M&, const A&) { comm.barrier(); }},
      {"split", "", false, false, false, false, false, false,
       [](C& comm, const M&, const A&) { comm.split(0, comm.rank()); }},
      // Once around.
      {"send", "recv", true, true, false, false, false, true,
       [](C& comm, const M& m, const A& a) {
         if (comm.rank() == 0) comm.send(Buffers{m, a}.in(1), next(comm));
         comm.recv(Buffers{m, a}.expected(), previous(comm));
         if (comm.rank() != 0) comm.send(Buffers{m, a}.in(1), next(comm));
       }},
      {"send_recv", "", true, true, false, false, false, true,
       [](C& comm, const M& m, const A& a) {
         comm.send_recv(Buffers{m, a}.in(1), next(comm), Buffers{m, a}.expected(), previous(comm));
       }},
  };
  return all;
}

}  // namespace tutti::test
