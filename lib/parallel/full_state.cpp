#include <map>

#include "parallel/engine.h"
#include "parallel/flat.h"

namespace tutti {

DataParallel::Gathered::Gathered(DataParallel& parallel) : parallel_(parallel) {
  if (parallel.engine_->gathering) parallel.engine_->gathering->hold();
}

DataParallel::Gathered::~Gathered() {
  if (parallel_.engine_->gathering) parallel_.engine_->gathering->release();
}

NamedTensors DataParallel::FullModel::state_dict() const {
  NamedTensors state = parallel_->model_.state_dict();
  if (!parallel_->engine_->gathering) return state;
  const auto whole = parallel_->gather();
  for (auto& [name, tensor] : state) tensor = tensor.clone();
  return state;
}

void DataParallel::FullModel::load_state_dict(const NamedTensors& state) {
  const auto whole = parallel_->gather();
  parallel_->model_.load_state_dict(state);
}

// Of each bucket's parameters, what is in this rank's share; all else is whole on every rank.
ShardedTensors DataParallel::FullModel::shards() const {
  ShardedTensors all = replicated(parallel_->model_.state_dict());
  const auto& engine = *parallel_->engine_;
  if (!engine.gathering) return all;
  for (std::size_t b = 0; b < engine.buckets.size(); ++b) {
    const auto& parameters = engine.buckets[b].parameters();
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const Tensor& parameter = parameters[i].tensor;
      for (auto& tensor : all) {  // tied parameters have several names
        if (tensor.local.storage() != parameter.storage() || tensor.local.offset() != parameter.offset())
          continue;
        tensor.local = engine.shards[b].slices()[i].tensor.detach();
        tensor.sharding = engine.buckets[b].layout().sharding(i, size_of(parameter.dtype()));
      }
    }
  }
  return all;
}

void DataParallel::FullModel::load_shards(const NamedTensors& parts) {
  copy_by_name("model", local(shards()), parts);
  loaded();
}

void DataParallel::FullModel::loaded() {
  for (auto& shards : parallel_->engine_->shards) shards.mark_updated();
  if (parallel_->engine_->gathering) parallel_->engine_->gathering->updated();
}

ShardedTensors DataParallel::FullState::shards() const {
  ShardedTensors all = replicated(optimizer_->state_dict());
  const auto& engine = *parallel_->engine_;
  if (engine.options.shard == Shard::none) return all;
  std::map<std::string, ShardedTensor*> by_name;
  for (auto& tensor : all) by_name[tensor.name] = &tensor;
  for (const auto& kind : optimizer_->state_names()) {
    for (const auto& bucket : engine.buckets) {
      const auto& parameters = bucket.parameters();
      for (std::size_t i = 0; i < parameters.size(); ++i) {
        const auto found = by_name.find(kind + "." + parameters[i].name);
        if (found == by_name.end()) continue;  // not this optimizer's
        found->second->shape = parameters[i].tensor.shape();
        found->second->sharding = bucket.layout().sharding(i, size_of(found->second->local.dtype()));
      }
    }
  }
  return all;
}

// State of a slice has the slice's shape, so it stands in a flat buffer as the slice does in the parameters'.
NamedTensors DataParallel::FullState::state_dict() const {
  NamedTensors state = optimizer_->state_dict();
  const auto& engine = *parallel_->engine_;
  if (engine.options.shard == Shard::none) return state;
  std::map<std::string, Tensor*> by_name;
  for (auto& [name, tensor] : state) by_name[name] = &tensor;
  for (const auto& kind : optimizer_->state_names()) {
    for (std::size_t b = 0; b < engine.buckets.size(); ++b) {
      const auto& [bucket, shards] = std::tie(engine.buckets[b], engine.shards[b]);
      const auto& parameters = bucket.parameters();
      const auto& offsets = bucket.layout().offsets;
      // What is kept about 16-bit parameters is f32.
      const auto any = by_name.find(kind + "." + parameters[0].name);
      const DType dtype = any == by_name.end() ? parameters[0].tensor.dtype() : any->second->dtype();
      Tensor flat = parallel::shared_flat(parallel_->comm_, {dtype, parameters[0].tensor.device()},
                                          bucket.layout().total);
      for (std::size_t i = 0; i < parameters.size(); ++i) {
        const auto found = by_name.find(kind + "." + parameters[i].name);
        if (found == by_name.end()) continue;  // not this optimizer's
        parallel::part_of(flat, offsets[i] + shards.first(i), found->second->shape()).copy_(*found->second);
      }
      parallel_->comm_.all_gather(flat);
      for (std::size_t i = 0; i < parameters.size(); ++i) {
        const auto found = by_name.find(kind + "." + parameters[i].name);
        if (found == by_name.end()) continue;
        *found->second = parallel::part_of(flat, offsets[i], parameters[i].tensor.shape());
      }
    }
  }
  return state;
}

void DataParallel::FullState::load_state_dict(const NamedTensors& state) {
  const auto& engine = *parallel_->engine_;
  if (engine.options.shard == Shard::none) return optimizer_->load_state_dict(state);
  std::map<std::string, Engine::Place> places;
  for (const auto& [name, parameter] : engine.trained) {
    for (const auto& kind : optimizer_->state_names())
      places[kind + "." + name] = engine.place_of(name, parameter);
  }
  NamedTensors slices;
  for (const auto& [name, tensor] : state) {
    slices.push_back({name, tensor});
    const auto found = places.find(name);
    if (found == places.end()) continue;
    const auto [bucket, i] = found->second;
    const auto& whole = engine.buckets[bucket].parameters()[i].tensor;
    if (tensor.shape() != whole.shape()) continue;  // the optimizer says so
    const auto& shards = engine.shards[bucket];
    const std::int64_t first = shards.first(i);
    slices.back().tensor =
        tensor.contiguous().reshape({-1}).slice(0, first, first + shards.slices()[i].tensor.numel());
  }
  optimizer_->load_state_dict(slices);
}

}  // namespace tutti
