/// \file
/// Streams and events of GPUs. In a build without CUDA there is no GPU to make one for: constructors throw the
/// DeviceError of Device::cuda().
#pragma once

#include "tutti/core/device.h"

namespace tutti::cuda {

/// A queue of work of one GPU, beside all others of it and beside the default stream: nothing waits for anything there but by
/// an Event.
class Stream {
 public:
  explicit Stream(Device device = Device::cuda());
  /// Waits for what is queued. Memory taken on the stream belongs to the default stream from then on.
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  Device device() const { return device_; }
  /// The cudaStream_t.
  void* handle() const { return handle_; }
  /// Returns when all that is queued is done. \throws DeviceError for what went wrong on the way.
  void synchronize() const;
  /// Whether all that is queued is done.
  bool query() const;

 private:
  Device device_;
  void* handle_ = nullptr;
};

/// What this thread does on the stream's GPU is queued there while the scope lasts. Without one it is the default stream (CUDA's
/// legacy one), on which kernels of one's own come in order with Tutti's.
///
/// A stream waits for no other: where tensors go from one to another, an Event is recorded on the one and waited for by the
/// other. Memory goes back in the order of the stream that it was taken on: before a tensor goes that another stream has used,
/// its own has to wait for that one.
class StreamScope {
 public:
  explicit StreamScope(const Stream& stream);
  /// A cudaStream_t of one's own, which is waited for before it is destroyed.
  StreamScope(Device device, void* stream);
  ~StreamScope();
  StreamScope(const StreamScope&) = delete;
  StreamScope& operator=(const StreamScope&) = delete;

 private:
  Device device_;
  void* former_;
};

/// The cudaStream_t that this thread queues work of `device` on. Null is the default stream, and what a CPU has.
void* current_stream(Device device);

/// Returns when all streams of `device` have done what is queued, at once for a CPU. \throws DeviceError for what went wrong on
/// the way, or while a Graph is captured.
void synchronize(Device device);

/// A place in a stream.
class Event {
 public:
  /// Only a timed one can be asked for milliseconds, and it costs a little more.
  explicit Event(Device device = Device::cuda(), bool timed = false);
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  Device device() const { return device_; }
  /// The cudaEvent_t.
  void* handle() const { return handle_; }
  /// The place is behind all that is queued now on the current stream of its device.
  void record();
  /// What comes from now on, on the current stream of its device or of another GPU, runs after it. Without a record() before,
  /// nothing waits.
  void wait() const { wait(device_); }
  void wait(Device other) const;
  /// Returns when the GPU has come there.
  void synchronize() const;
  /// Whether it has.
  bool query() const;
  /// Milliseconds from `earlier` to this one; both are timed, and have been passed.
  float milliseconds_since(const Event& earlier) const;

 private:
  Device device_;
  bool timed_;
  void* handle_ = nullptr;
};

}  // namespace tutti::cuda
