#include "tutti/parallel/data_parallel.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "parallel/agreement.h"
#include "parallel/bucket.h"
#include "tutti/core/error.h"

namespace tutti {

// Shared with the hooks of the parameters, which may outlive the DataParallel that set them.
struct DataParallel::Engine {
  Communicator& comm;
  bool allow_unused;
  bool sync = true;
  bool running = false;  // between the start and the end of a backward that reduces
  std::vector<parallel::Bucket> buckets;
  std::size_t next = 0;  // first bucket whose reduction has not started

  // Buckets start in their order on every rank, whatever order their gradients come in.
  void on_ready(std::size_t bucket, std::size_t parameter) {
    if (!running) return;
    buckets[bucket].mark_ready(parameter);
    while (next < buckets.size() && buckets[next].all_ready()) buckets[next++].start(comm);
  }

  void start_the_rest() {
    for (; next < buckets.size(); ++next) buckets[next].start(comm);
  }

  void check_replaced() const {
    std::vector<std::string> names;
    for (const auto& bucket : buckets) {
      for (auto& name : bucket.replaced()) names.push_back(std::move(name));
    }
    if (names.empty()) return;
    throw AutogradError(
        fmt::format("data parallel: the gradient of {} was replaced; it must stay a view into its "
                    "bucket: zero it in place",
                    fmt::join(names, ", ")));
  }

  void check_unused() const {
    if (allow_unused) return;
    std::vector<std::string> names;
    for (const auto& bucket : buckets) {
      for (auto& name : bucket.missing()) names.push_back(std::move(name));
    }
    if (names.empty()) return;
    throw AutogradError(fmt::format(
        "data parallel: no gradient reached {}; if that is meant, set allow_unused", fmt::join(names, ", ")));
  }
};

DataParallel::DataParallel(nn::Module& model, Communicator& comm, const DataParallelOptions& options)
    : model_(model), comm_(comm), engine_(new Engine{comm, options.allow_unused, true, false, {}, 0}) {
  const NamedTensors state = model.state_dict();
  parallel::check_agreement(state, comm);
  for (const auto& [name, tensor] : state) comm.broadcast(tensor);

  NamedTensors trained;
  for (const auto& parameter : model.parameters()) {
    if (parameter.tensor.requires_grad()) trained.push_back(parameter);
  }
  for (auto& part : parallel::plan_buckets(trained, options.first_bucket_bytes, options.bucket_bytes)) {
    const std::size_t bucket = engine_->buckets.size();
    for (std::size_t i = 0; i < part.size(); ++i) {
      part[i].tensor.register_grad_hook([engine = std::weak_ptr(engine_), bucket, i](Tensor&) {
        if (const auto alive = engine.lock()) alive->on_ready(bucket, i);
      });
    }
    engine_->buckets.emplace_back(std::move(part), comm);
  }

  for (auto& [name, generator] : model.generators()) {
    auto random = generator.state();
    random.stream += static_cast<std::uint64_t>(comm.rank()) << 32;
    generator.set_state(random);
  }
}

DataParallel::~DataParallel() = default;

void DataParallel::backward(const Tensor& loss) {
  engine_->check_replaced();
  if (!engine_->sync) return loss.backward();
  for (auto& bucket : engine_->buckets) bucket.reset();
  engine_->next = 0;
  engine_->running = true;
  try {
    loss.backward();
  } catch (...) {
    engine_->running = false;
    throw;
  }
  engine_->running = false;
  engine_->start_the_rest();
  for (auto& bucket : engine_->buckets) bucket.finish();
  engine_->check_unused();
}

void DataParallel::broadcast_buffers() {
  struct Buffers : nn::MemberVisitor {
    explicit Buffers(Communicator& group) : comm(group) {}
    void parameter(const std::string&, Tensor&) override {}
    void buffer(const std::string&, Tensor& tensor) override { comm.broadcast(tensor); }
    void generator(const std::string&, Generator&) override {}
    void module(const std::string&, nn::Module& module) override { module.visit(*this); }
    Communicator& comm;
  } buffers(comm_);
  model_.visit(buffers);
}

DataParallel::NoSync::NoSync(DataParallel& parallel) : parallel_(parallel), before_(parallel.engine_->sync) {
  parallel_.engine_->sync = false;
}

DataParallel::NoSync::~NoSync() { parallel_.engine_->sync = before_; }

}  // namespace tutti
