#include "comm/self/self.h"

#include <fmt/format.h>

#include <cstring>
#include <mutex>
#include <string>

#include "tutti/core/error.h"

namespace tutti::comm {
namespace {

// Whatever one rank reduces, gathers or exchanges is its own input.
class SelfBackend final : public Backend {
 public:
  std::string_view name() const override { return "self"; }
  int rank() const override { return 0; }
  int size() const override { return 1; }

  std::unique_ptr<Backend> split(int, int, const Call& call) override {
    check(call);
    return make_self_backend();
  }
  std::unique_ptr<Backend> shrink(const Call&) override { return make_self_backend(); }

  Work all_reduce(ConstBufferView in, BufferView out, ReduceOp, const Call& call) override {
    return copy(in, out, call);
  }
  Work reduce_scatter(ConstBufferView in, BufferView out, ReduceOp, const Call& call) override {
    return copy(in, out, call);
  }
  Work all_gather(ConstBufferView in, BufferView out, const Call& call) override {
    return copy(in, out, call);
  }
  Work broadcast(BufferView, int, const Call& call) override { return nothing(call); }
  Work all_to_all(ConstBufferView in, BufferView out, const Call& call) override {
    return copy(in, out, call);
  }
  Work gather(ConstBufferView in, BufferView out, int, const Call& call) override {
    return copy(in, out, call);
  }
  Work scatter(ConstBufferView in, BufferView out, int, const Call& call) override {
    return copy(in, out, call);
  }
  Work send_recv(ConstBufferView in, Endpoint, BufferView out, Endpoint, const Call& call) override {
    return copy(in, out, call);
  }
  Work barrier(const Call& call) override { return nothing(call); }

  void abort(std::string_view reason) override {
    std::scoped_lock lock(mutex_);
    if (aborted_.empty()) aborted_ = fmt::format("the group was aborted: {}", reason);
  }

 private:
  void check(const Call& call) {
    std::scoped_lock lock(mutex_);
    if (aborted_.empty()) return;
    throw CommError(fmt::format("{} #{}: {}", call.name, call.sequence, aborted_), call.name, call.sequence,
                    0);
  }

  Work nothing(const Call& call) {
    check(call);
    return {};
  }

  Work copy(ConstBufferView in, BufferView out, const Call& call) {
    check(call);
    if (in.bytes() != 0 && in.data != out.data) std::memcpy(out.data, in.data, in.bytes());
    return {};
  }

  std::mutex mutex_;
  std::string aborted_;
};

}  // namespace

std::unique_ptr<Backend> make_self_backend() { return std::make_unique<SelfBackend>(); }

}  // namespace tutti::comm
