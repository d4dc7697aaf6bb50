#include "tutti/comm/communicator.h"

#include <fmt/format.h>

#include <bit>
#include <utility>

#include "comm/executor.h"
#include "comm/self/self.h"
#include "kernels/memory.h"
#include "tutti/core/error.h"

namespace tutti {

using namespace comm;

Communicator::Communicator(std::unique_ptr<Backend> backend)
    : executor_(std::make_shared<Executor>(std::move(backend))),
      logical_ranks_(static_cast<int>(std::bit_ceil(static_cast<unsigned>(size())))),
      sent_(static_cast<std::size_t>(size())),
      received_(static_cast<std::size_t>(size())) {}
Communicator::Communicator() : Communicator(make_self_backend()) {}
Communicator::Communicator(Communicator&&) noexcept = default;
Communicator& Communicator::operator=(Communicator&&) noexcept = default;
Communicator::~Communicator() = default;

int Communicator::rank() const { return executor_->backend().rank(); }
int Communicator::size() const { return executor_->backend().size(); }
std::string_view Communicator::backend() const { return executor_->backend().name(); }

bool Communicator::any_thread() const {
  return executor_->backend().completion() != comm::Backend::Completion::on_return_same_thread;
}

void Communicator::set_logical_ranks(int count) {
  logical_ranks_ = LogicalRanks(count, rank(), size()).count();
}

Backend::Call Communicator::call(const char* name, const Options& options) {
  return {name, ++sequence_, options.timeout.value_or(timeout_), options.stream, options.order};
}

Backend::Endpoint Communicator::endpoint(int rank, std::vector<std::uint64_t>& counts) {
  return {rank, ++counts[static_cast<std::size_t>(rank)]};
}

Communicator Communicator::split(int color, int key, const Options& options) {
  const auto call = this->call("split", options);
  std::unique_ptr<Backend> part;
  executor_->run(call, {}, [&] {
    part = executor_->backend().split(color, key, call);
    return Work();
  });
  Communicator group(std::move(part));
  group.set_timeout(timeout_);
  return group;
}

Communicator Communicator::shrink(const Options& options) {
  executor_->settle();
  Communicator group(executor_->backend().shrink(call("shrink", options)));
  group.set_timeout(timeout_);
  group.set_logical_ranks(logical_ranks_);
  return group;
}

std::shared_ptr<void> Communicator::allocate(std::size_t bytes, Device device) {
  Backend& backend = executor_->backend();
  if (device.is_cpu()) return backend.allocate(bytes);
  if (executor_->stages(device)) {
    return {kernels::launch<kernels::Allocate>(device, bytes),
            [device, bytes](void* data) { kernels::launch<kernels::Free>(device, data, bytes); }};
  }
  if (!backend.takes(device)) {
    throw DeviceError(
        fmt::format("allocate: the back end {} has no memory on {}", backend.name(), device.str()));
  }
  return backend.allocate_on(device, bytes);
}

void Communicator::abort(std::string_view reason) { executor_->backend().abort(reason); }

std::vector<FlightRecord> Communicator::flight_record() const { return executor_->recorder().records(); }

}  // namespace tutti
