/// \file
/// Training one model on several ranks, each with its share of the batch.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "tutti/comm/communicator.h"
#include "tutti/nn/module.h"
#include "tutti/optim/optimizer.h"
#include "tutti/parallel/gradient_hook.h"
#include "tutti/parallel/shard.h"
#include "tutti/tensor/sharded_tensor.h"

namespace tutti {

struct DataParallelOptions {
  std::size_t first_bucket_bytes = 1 << 20;  ///< small, so that the first reduction starts early in backward
  std::size_t bucket_bytes = 25 << 20;
  /// Reduces a bucket while the backward pass goes on, on the communicator's own thread where the back end has none;
  /// else the pass waits for it.
  bool overlap = true;
  /// A parameter that got no gradient is an error that names it; or, if this is set, counts as zero.
  bool allow_unused = false;
  Shard shard = Shard::none;
  /// Sums in an order of the engine's own: other bits in other worlds.
  ReduceOrder order = ReduceOrder::tree;
  /// How gradients travel; as they are where none is given.
  std::shared_ptr<GradientHook> hook{};
  /// Every so many steps, `step` calls `check_divergence`; 0 for never.
  std::int64_t check_every = 0;
};

/// What the steps of a DataParallel came to, on this rank.
struct DataParallelStats {
  std::int64_t steps = 0;
  std::size_t buckets = 0;
  std::size_t bytes = 0;                ///< of gradients that a step reduces
  std::chrono::nanoseconds backward{};  ///< in `backward`, the waiting included
  /// Of it, for collectives behind the last gradient: what is not overlapped.
  std::chrono::nanoseconds waiting{};

  // What this rank holds now, padding included. The gradients of a backward pass under way that are in no bucket yet
  // are not among it, nor what the optimizer keeps.
  std::size_t parameter_bytes = 0;  ///< of the model's parameters; sharded, of this rank's slices
  std::size_t gradient_bytes = 0;   ///< unfinished sums too, where a rank has several logical ranks
  std::size_t buffer_bytes = 0;     ///< for gathering parameters, and for reducing gradients beside them
};

/// Trains the copies of a model on all ranks as one. A step is V micro-batches, one of each logical rank (see
/// LogicalRanks); this rank has its share of them:
///
///     DataParallel parallel(model, world);
///     optim::AdamW optimizer(parallel.parameters(), {.lr = 3e-4});
///     for (...) {
///       for ([[maybe_unused]] int v : parallel.micro_batches()) {
///         auto [x, y] = batches.next();
///         parallel.backward(cross_entropy(model(x), y));
///       }
///       parallel.step(optimizer);
///     }
///
/// Where each rank has one logical rank, as in worlds of 1, 2, 4, ... by default, the inner loop may be left out.
///
/// Gradients are the mean over the logical ranks: of the global batch, if each loss is a mean over micro-batches of
/// one size. They are summed in one fixed tree, so that gradients, and whatever comes of them, have the same bits in
/// any world, see docs/determinism.md. The first backward of a step begins them anew: there is no need to zero them.
///
/// Making one gives every rank the parameters, buffers and random generators of rank 0 and lays the gradients side by side into buckets
/// in memory of the communicator. The buckets of the last micro-batch are reduced in the order in which the backward
/// pass completes them, while it goes on. The first step tells the order; it then becomes that of the buckets.
///
/// Random generators of the model (dropout) are a function of their seed, the step, the logical rank and the place in
/// the model. Buffers that change (running averages of BatchNorm2d) move from the same values on every logical rank
/// and become the mean over them; of integers, those of logical rank 0 count.
///
/// Gradients stay views into the buckets: zero them in place, don't replace them. The model and the communicator
/// outlive this object. Every member that says so is a collective call.
class DataParallel {
 public:
  /// A collective call.
  /// \throws ConfigError on every rank when the models of the ranks differ in a name, shape or dtype, which is named,
  ///         or the ranks differ in their logical ranks or options.
  DataParallel(nn::Module& model, Communicator& comm, const DataParallelOptions& options = {});
  ~DataParallel();
  DataParallel(const DataParallel&) = delete;
  DataParallel& operator=(const DataParallel&) = delete;

  /// The logical ranks of this rank, one after another; each wants one `backward` outside of `no_sync`.
  class MicroBatches;
  /// \throws AutogradError when the step before was left in the middle.
  MicroBatches micro_batches();

  /// Computes the gradients of one micro-batch and, with the last one of this rank, those of the global batch: it
  /// returns when they are there; on a GPU, for what this thread queues next. A collective call. `weight` is for micro-batches that are not all of one size: the
  /// samples of this one over the mean of all. Of one without samples it is 0, and `loss` does not count. The model is
  /// called for it all the same where it has buffers that change or `Shard::parameters` is chosen; there, `loss` has to
  /// depend on the model too.
  /// \throws AutogradError naming parameters that got no gradient, or whose gradient was replaced, or that began to
  ///         require one; when a micro-batch has had its backward; and when parameters were updated in between on
  ///         some ranks only. Behind an error a step begins anew; other ranks get a CommError, or,
  ///         of a gradient that one rank misses, an AutogradError that names the rank.
  void backward(const Tensor& loss, double weight = 1);

  /// Of the last step: the mean over the global batch. The same on every rank.
  double loss() const;

  /// While it lives, `backward` adds up the gradients of several losses of one logical rank; the next one outside of
  /// it completes them.
  ///
  ///     { auto local = parallel.no_sync(); parallel.backward(first_loss); }
  ///     parallel.backward(second_loss);
  class [[nodiscard]] NoSync {
   public:
    explicit NoSync(DataParallel& parallel);
    ~NoSync();
    NoSync(const NoSync&) = delete;
    NoSync& operator=(const NoSync&) = delete;

   private:
    DataParallel& parallel_;
    bool before_;
  };
  NoSync no_sync() { return NoSync(*this); }

  /// What the optimizer of this rank updates: the parameters that require a gradient; or, sharded, this rank's slices
  /// of them, [n] under the same names, some of them empty. Their gradients are there after the last `backward` of a
  /// step.
  NamedTensors parameters() const;
  /// The same of some of the model's parameters, for optimizers with several groups.
  NamedTensors shard(const NamedTensors& parameters) const;

  /// Scales the gradients so that their norm, all taken together, is at most `max_norm`; returns the norm before.
  /// The same bits in any world and under any sharding, and those of optim::clip_grad_norm_. Sharded, a collective
  /// call.
  double clip_grad_norm_(double max_norm);

  /// `optimizer.step()` on what `parameters` gave it; sharded, all ranks then get each other's slices. A collective
  /// call where sharded or `check_every` is due.
  /// \throws ConfigError for an optimizer that has nothing of `parameters`, where sharded; DataError as
  ///         `check_divergence` does.
  void step(optim::Optimizer& optimizer);

  /// Compares the bits of parameters, buffers and random generators among the ranks now. A collective call.
  /// \throws DataError on every rank, naming the first tensor that differs, and the ranks.
  void check_divergence();

  /// While it lives, all parameters are whole on every rank, and may be changed, on all ranks alike: for an evaluation
  /// on some of them, or for reading. Without it, where `Shard::parameters` is chosen, a parameter's elements are there
  /// only while its module computes, and every call of the model is a collective one. Making it is one too.
  class [[nodiscard]] Gathered {
   public:
    explicit Gathered(DataParallel& parallel);
    ~Gathered();
    Gathered(const Gathered&) = delete;
    Gathered& operator=(const Gathered&) = delete;

   private:
    DataParallel& parallel_;
  };
  Gathered gather() { return Gathered(*this); }

  /// The states of model and optimizer, by the names and shapes of a run where nothing is sharded: what TrainState gets
  /// for checkpoints, for which each rank gives and takes its slices.
  ///
  ///     auto model_state = parallel.full();
  ///     auto optimizer_state = parallel.full(optimizer);
  ///     TrainState state{model_state, optimizer_state, batches};
  class FullModel;
  FullModel full();
  class FullState;
  FullState full(optim::Optimizer& optimizer);

  DataParallelStats stats() const;

 private:
  struct Engine;

  nn::Module& model_;
  Communicator& comm_;
  std::shared_ptr<Engine> engine_;
};

/// The model's state, whole on every rank.
class DataParallel::FullModel {
 public:
  explicit FullModel(DataParallel& parallel) : parallel_(&parallel) {}
  /// That of the model; copies, where parameters are sharded. A collective call there.
  NamedTensors state_dict() const;
  /// \throws DataError as the model does.
  void load_state_dict(const NamedTensors& state);
  /// What this rank has of it. No communication.
  ShardedTensors shards() const;
  /// Puts the local parts back. \throws DataError as the model does.
  void load_shards(const NamedTensors& parts);
  /// See InPlaceStateful.
  NamedTensors in_place() const { return local(shards()); }
  void load_rest(const NamedTensors& rest) { copy_by_name("model", local(shards()), rest, false); }
  void loaded();
  NamedGenerators generators() const { return parallel_->model_.generators(); }

 private:
  DataParallel* parallel_;
};

/// The optimizer's state, whole on every rank.
class DataParallel::FullState {
 public:
  FullState(DataParallel& parallel, optim::Optimizer& optimizer)
      : parallel_(&parallel), optimizer_(&optimizer) {}
  /// Names and shapes are those of an optimizer of the whole parameters. A collective call.
  NamedTensors state_dict() const;
  /// \throws DataError as the optimizer does.
  void load_state_dict(const NamedTensors& state);
  /// What this rank has of it. No communication.
  ShardedTensors shards() const;
  /// Puts the local parts back. \throws DataError as the optimizer does.
  void load_shards(const NamedTensors& parts) { optimizer_->load_state_dict(parts); }
  /// See InPlaceStateful.
  NamedTensors in_place() const { return optimizer_->in_place(); }
  void load_rest(const NamedTensors& rest) { optimizer_->load_rest(rest); }
  void loaded() {}

 private:
  DataParallel* parallel_;
  optim::Optimizer* optimizer_;
};

/// What `for (int v : parallel.micro_batches())` runs over.
class DataParallel::MicroBatches {
 public:
  struct End {};
  class Iterator {
   public:
    Iterator(DataParallel& parallel, std::size_t leaf) : parallel_(&parallel), leaf_(leaf) {}
    int operator*() const;
    Iterator& operator++();
    bool operator==(End) const;

   private:
    DataParallel* parallel_;
    std::size_t leaf_;
  };

  explicit MicroBatches(DataParallel& parallel) : parallel_(parallel) {}
  Iterator begin() const;
  End end() const { return {}; }

 private:
  DataParallel& parallel_;
};

}  // namespace tutti
