/// \file
/// The base of every module: what it is made of, by name.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tutti/tensor/named_tensor.h"
#include "tutti/tensor/random.h"

namespace tutti::nn {

class Module;

/// Receives the members of a module, see Module::visit. A name may have dots, for a member that stands deeper in the
/// names than in the code: "mlp.c_fc".
class MemberVisitor {
 public:
  virtual ~MemberVisitor() = default;
  /// A tensor to be trained. An undefined one (a bias that was left out) is passed over.
  virtual void parameter(const std::string& name, Tensor& tensor) = 0;
  /// A tensor that is state but is not trained, such as a running mean.
  virtual void buffer(const std::string& name, Tensor& tensor) = 0;
  virtual void generator(const std::string& name, Generator& generator) = 0;
  /// An empty name: the members' names stay as they are, as if they were those of the visited module.
  virtual void module(const std::string& name, Module& module) = 0;
};

/// A function of tensors with parameters. Derive from it, hold tensors and modules as plain members, and tell
/// their names in `visit`:
///
///     struct Mlp : nn::Module {
///       nn::Linear up, down;
///       explicit Mlp(Generator rng) : up(64, 256, rng), down(256, 64, rng) {}
///       Tensor forward(const Tensor& x) override { return down(relu(up(x))); }
///       void visit(nn::MemberVisitor& v) override {
///         v.module("up", up);
///         v.module("down", down);
///       }
///     };
///
/// Nothing is registered by address, so a module can be moved. It cannot be copied: two modules with the same
/// parameters would be a surprise; load one's state_dict into the other.
class Module {
 public:
  Module() = default;
  Module(Module&&) = default;
  Module& operator=(Module&&) = default;
  virtual ~Module() = default;

  /// The result for `x`.
  /// \throws Error unless overridden: a module of several inputs has functions of its own.
  virtual Tensor forward(const Tensor& x);
  /// The same between the hooks.
  Tensor operator()(const Tensor& x) { return hooks_ ? call_with_hooks(x) : forward(x); }

  /// Calls `hook` with the input, before each call of the module.
  void register_forward_pre_hook(std::function<void(const Tensor& x)> hook);
  /// Calls `hook` with the input and the result, which it may replace, behind each call of the module.
  void register_forward_hook(std::function<Tensor(const Tensor& x, const Tensor& y)> hook);
  /// Whether there are any: a module may join calls of others that nobody listens to.
  bool has_forward_hooks() const { return hooks_ != nullptr; }

  /// Names the members to `visitor`, in a fixed order; names follow PyTorch's.
  virtual void visit(MemberVisitor& visitor);

  /// The parameters, each once even if it has several names (tied weights): the first name counts.
  NamedTensors parameters() const;
  /// Parameters and buffers under all of their names: handles that share storage with the module and that the
  /// tape does not know.
  NamedTensors state_dict() const;
  /// Copies a state dict into the module. Of a tensor with several names one is enough.
  /// \throws DataError naming what is missing, unexpected (both only if `strict`), of another shape, or given
  ///         different values under two names of one tensor. Nothing is changed when it throws.
  void load_state_dict(const NamedTensors& state, bool strict = true);
  /// For checkpoints, which are read into the tensors themselves: see InPlaceStateful.
  NamedTensors in_place() const { return state_dict(); }
  void load_rest(const NamedTensors& rest) { load_state_dict(rest, false); }
  void loaded() {}
  /// The generators of all modules, for saving and restoring random states. Several may share a position.
  NamedGenerators generators() const;
  /// Elements in `parameters()`.
  std::int64_t parameter_count() const;

  /// Sets the mode of this module and those in it: Dropout and BatchNorm2d behave differently in training.
  Module& train(bool on = true);
  Module& eval() { return train(false); }
  bool training() const { return training_; }

  /// Zeroes the gradients in place.
  void zero_grad();

  /// Moves, or converts the floating point of, parameters and buffers. The tensors are new ones, without
  /// gradients and hooks: do it before making an optimizer or DataParallel.
  Module& to(Device device);
  Module& to(DType dtype);

 private:
  struct Hooks;

  Tensor call_with_hooks(const Tensor& x);

  bool training_ = true;
  std::shared_ptr<Hooks> hooks_;
};

}  // namespace tutti::nn
