#include "parallel/number_reader.h"

#include <thread>
#include <utility>

#include "kernels/memory.h"

namespace tutti::parallel {
namespace {

constexpr std::size_t room_bytes = 4096;  // pages are pinned

std::shared_ptr<void> pinned_room(Device gpu) {
  void* const data = kernels::Allocate::cpu(room_bytes);
  const bool is_pinned = kernels::launch<kernels::Pin>(gpu, data, room_bytes);
  return {data, [gpu, is_pinned](void* at) {
            if (is_pinned) kernels::launch<kernels::Unpin>(gpu, at);
            kernels::Free::cpu(at, room_bytes);
          }};
}

}  // namespace

void NumberReader::begin(const Tensor& number) {
  number_ = number.detach();
  const Device device = number.device();
  if (device.is_cpu()) return;
  if (!queue_ || queue_->gpu() != device) {
    queue_ = std::make_unique<kernels::CopyQueue>(device);
    room_ = pinned_room(device);
  }
  queue_->hold(kernels::mark_stream(device));
  queue_->to_host(room_.get(), number_.raw_data(), size_of(number.dtype()));
  arrived_ = queue_->mark();
}

double NumberReader::finish(const std::function<void()>& watch) {
  const Tensor number = std::exchange(number_, {});
  if (number.device().is_cpu()) return number.item<double>();
  for (int looks = 0; !arrived_->query(); ++looks) {
    if (looks % 64 == 0) watch();
    std::this_thread::yield();
  }
  return visit_dtype(number.dtype(),
                     [&]<typename T>() { return static_cast<double>(*static_cast<const T*>(room_.get())); });
}

}  // namespace tutti::parallel
