// What a DataParallel does in a step.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "parallel/bucket.h"
#include "parallel/buffers.h"
#include "parallel/gathering.h"
#include "parallel/number_reader.h"
#include "parallel/randomness.h"
#include "parallel/sharded_parameters.h"
#include "parallel/tree_schedule.h"
#include "tutti/parallel/data_parallel.h"

namespace tutti {

// Shared with the hooks of the parameters, which may outlive the DataParallel that set them.
struct DataParallel::Engine : std::enable_shared_from_this<Engine> {
  Engine(nn::Module& model, Communicator& comm, const DataParallelOptions& options);
  // Lets the parameters tell of their gradients.
  void listen();

  // The loop over this rank's micro-batches: before the first one, and behind each.
  void begin_step();
  void end_iteration(std::size_t leaf);
  void backward(const Tensor& loss, double weight);
  void update(optim::Optimizer& optimizer);
  // Before the host waits for a GPU, which may wait for the other ranks: waits for what they do, at most until its deadline.
  void settle();

  // Bucket of a trained parameter, and its place there.
  struct Place {
    std::size_t bucket, parameter;
  };
  Place place_of(const std::string& name, const Tensor& parameter) const;

  Communicator& comm;
  const DataParallelOptions options;
  const LogicalRanks ranks;
  const NamedTensors trained;  // in the model's order
  // Memory of collectives that buckets have under way: it goes after them.
  std::unique_ptr<parallel::Slots> slots;
  std::unique_ptr<parallel::MemoryPool> pool;
  std::vector<parallel::Bucket> buckets;
  std::deque<parallel::ShardedParameters> shards;  // of each bucket; none where nothing is sharded
  std::shared_ptr<parallel::Gathering> gathering;  // where parameters are sharded
  bool sync = true;
  std::int64_t updates = 0;  // by `step`
  double mean_loss = 0;
  DataParallelStats stats;
  // With what this rank holds now.
  DataParallelStats current_stats() const;

 private:
  void make_buckets(const std::vector<NamedTensors>& plan);
  void make_units(nn::Module& model);
  void adopt_order();
  void check_place();
  void check_trained();
  void check_slices();
  std::int64_t slice_updates() const;
  std::int64_t count_updates() const;
  void begin_micro_batch();
  void end_micro_batch();
  std::size_t level() const { return schedule_.level(leaf_) - (fused_ ? 1 : 0); }
  bool pass(const Tensor& loss, double weight);
  void run(const Tensor& loss, double weight);
  void run_idle(const Tensor& loss);
  void go_back(const Tensor& loss, double gradient);
  void leave_step();
  bool unit_ready(std::size_t unit) const;
  void on_ready(std::size_t parameter);
  void start(std::size_t bucket);
  void complete(parallel::Bucket& bucket);
  void end_step();
  void meet();
  void watch();
  void check_unused() const;
  [[noreturn]] void refuse(const std::string& why);

  parallel::TreeSchedule schedule_;
  parallel::Randomness randomness_;
  parallel::Buffers buffers_;
  std::vector<std::size_t> unit_of_;  // of each bucket
  NamedTensors frozen_;
  std::vector<Place> places_;       // of each trained parameter
  std::vector<std::int32_t> came_;  // trained parameters, as their gradients came in the first step
  bool order_known_;

  std::size_t leaf_ = 0;        // this rank's micro-batch under way
  bool in_loop_ = false;        // over the micro-batches
  bool open_ = false;           // in it, and the micro-batch has not had its last backward
  bool step_begun_ = false;     // a micro-batch of the step has had a backward
  bool leaf_begun_ = false;     // this one has
  bool empty_ = false;          // and had no samples
  bool fused_ = false;          // its gradients are added at once to the subtree before it
  bool running_ = false;        // a backward of this DataParallel is under way
  bool idle_ = false;           // and its gradients do not count
  bool reducing_ = false;       // and it is the step's last
  std::size_t next_ = 0;        // first bucket whose reduction has not started
  std::vector<double> losses_;  // of this rank's micro-batches
  parallel::NumberReader loss_reader_;
  std::int64_t updates_before_ = 0;
  std::int64_t slice_updates_ = 0;    // by `update`
  std::int64_t updates_between_ = 0;  // of parameters, between the step before and this one
  std::set<std::string> missing_;
};

}  // namespace tutti
