#include "nn/walk.h"

namespace tutti::nn {
namespace {

class Walker : public MemberVisitor {
 public:
  explicit Walker(const Walk& walk) : walk_(walk) {}

  void enter(Module& module) {
    if (walk_.module) walk_.module(module);
    module.visit(*this);
  }
  void parameter(const std::string& name, Tensor& tensor) override {
    if (walk_.parameter && tensor.defined()) walk_.parameter(prefix_ + name, tensor);
  }
  void buffer(const std::string& name, Tensor& tensor) override {
    if (walk_.buffer && tensor.defined()) walk_.buffer(prefix_ + name, tensor);
  }
  void generator(const std::string& name, Generator& generator) override {
    if (walk_.generator) walk_.generator(prefix_ + name, generator);
  }
  void module(const std::string& name, Module& module) override {
    const auto length = prefix_.size();
    if (!name.empty()) prefix_ += name + ".";
    enter(module);
    prefix_.resize(length);
  }

 private:
  const Walk& walk_;
  std::string prefix_;
};

}  // namespace

void Walk::operator()(Module& root) const { Walker(*this).enter(root); }

}  // namespace tutti::nn
