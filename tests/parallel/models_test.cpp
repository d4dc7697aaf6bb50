// The same bits for models that are made in unusual ways.
#include "tests/parallel/training.h"

namespace tutti::test {
namespace {

using nn::MemberVisitor;

// f32 and f64 in turn, a single number, and nothing at all.
struct Mixed : nn::Module {
  nn::Linear first, second, third;
  Tensor scale = ones({}).set_requires_grad(), nothing = zeros({0, 3}).set_requires_grad();

  Mixed() : Mixed(Generator(1)) {}
  explicit Mixed(Generator rng) : first(6, 40, rng), second(40, 5, rng), third(5, 1, rng) {
    second.to(DType::f64);
  }
  Tensor forward(const Tensor& x) override {
    const Tensor y = third(second(tanh(first(x)).to(DType::f64)).to(DType::f32)) * scale;
    return y + sum(nothing);
  }
  void visit(MemberVisitor& v) override {
    v.module("first", first);
    v.parameter("nothing", nothing);
    v.module("second", second);
    v.parameter("scale", scale);
    v.module("third", third);
  }
  Tensor loss(Generator& rng, int) { return mean(square((*this)(randn({3, 6}, rng)))); }
};
TEST(Models, OfSeveralDtypesAndWithoutElements) { expect_same_bits<Mixed>(); }

struct Single : nn::Module {
  Tensor only = full({5}, 0.5).set_requires_grad();
  void visit(MemberVisitor& v) override { v.parameter("only", only); }
  Tensor forward(const Tensor& x) override { return sum(square(only * x)); }
  Tensor loss(Generator& rng, int) { return (*this)(randn({5}, rng)); }
};
TEST(Models, OfASingleParameter) { expect_same_bits<Single>(); }

// One layer runs three times, its weight is the transposed one's too, and the last runs before the first is made.
struct Shared : nn::Module {
  nn::Linear last, twice, first;

  Shared() : Shared(Generator(2)) {}
  explicit Shared(Generator rng) : last(12, 2, rng), twice(12, 12, rng), first(6, 12, rng) {}
  Tensor forward(const Tensor& x) override {
    Tensor y = first(x);
    for (int i = 0; i < 3; ++i) y = tanh(twice(y));
    return last(y + linear(y, twice.weight));
  }
  void visit(MemberVisitor& v) override {
    v.module("last", last);
    v.module("twice", twice);
    v.module("first", first);
    v.parameter("tied", twice.weight);
  }
  Tensor loss(Generator& rng, int) { return mean(square((*this)(randn({3, 6}, rng)))); }
};
TEST(Models, WhoseModulesRunSeveralTimes) { expect_same_bits<Shared>(); }

// A Sequential that is larger than a bucket, a part of which is run again; dropout and running averages in it.
struct Again : nn::Module {
  nn::Sequential net;

  Again() : Again(Generator(3)) {}
  explicit Again(Generator rng)
      : net(nn::Conv2d(1, 10, 3, rng), nn::BatchNorm2d(10),
            nn::Recompute(nn::Sequential(nn::Conv2d(10, 10, 2, rng), nn::Dropout(0.3, rng),
                                         nn::BatchNorm2d(10), nn::Conv2d(10, 10, 2, rng), nn::Flatten())),
            nn::Recompute(nn::Linear(40, 20, rng)), nn::Tanh(), nn::Linear(20, 1, rng)) {}
  void visit(MemberVisitor& v) override { v.module("net", net); }
  Tensor forward(const Tensor& x) override { return net(x); }
  Tensor loss(Generator& rng, int) { return mean(square((*this)(randn({4, 1, 6, 6}, rng)))); }
};
TEST(Models, ThatAreRunAgainForTheBackwardPass) { expect_same_bits<Again>(); }

struct RecomputedGpt : nn::Gpt {
  RecomputedGpt()
      : nn::Gpt({.vocabulary = 7,
                 .layers = 2,
                 .width = 8,
                 .heads = 2,
                 .context = 8,
                 .dropout = 0.2,
                 .recompute = true,
                 .seed = 1}) {}
  Tensor loss(Generator& rng, int) {
    const Tensor tokens = randint(0, 7, {2, 8}, rng);
    return nn::cross_entropy((*this)(tokens), tokens);
  }
};
TEST(Models, OfBlocksThatAreRunAgain) { expect_same_bits<RecomputedGpt>(); }

// Some logical ranks leave a parameter out, whose gradient elsewhere is -0; a module is never called.
struct Partial : nn::Module {
  nn::Linear used, never;
  Tensor spare = ones({3}).set_requires_grad();

  Partial() : Partial(Generator(4)) {}
  explicit Partial(Generator rng) : used(6, 3, rng), never(6, 3, rng) {}
  Tensor forward(const Tensor& x) override { return used(x); }
  void visit(MemberVisitor& v) override {
    v.module("never", never);
    v.module("used", used);
    v.parameter("spare", spare);
  }
  Tensor loss(Generator& rng, int v) {
    const Tensor y = mean((*this)(randn({3, 6}, rng)));
    return v % 2 == 0 ? y + sum(spare * full({3}, -0.0)) : y;
  }
};
TEST(Models, OfWhichMicroBatchesUseParts) { expect_same_bits<Partial>({.allow_unused = true}); }

TEST(Models, KeepTheSignOfZeroInEveryWorld) {
  for (const int size : {1, 2, 4}) {
    agreed(size, 4, [&](Communicator& comm) {
      Partial net;
      DataParallel parallel(net, comm, {.allow_unused = true});
      for (const int v : parallel.micro_batches()) {
        Generator rng(1);
        parallel.backward(net.loss(rng, v));
        if (v == 0 && size == 1) {
          EXPECT_TRUE(std::signbit(net.spare.grad().to_vector<float>()[0]));
        }
      }
      EXPECT_FALSE(std::signbit(net.spare.grad().to_vector<float>()[0])) << size;
      return "";
    });
  }
}

TEST(Models, WithoutParametersAreRefusedWhenTheyLearn) {
  agreed(2, 2, [](Communicator& comm) {
    nn::Sequential net{nn::ReLU()};
    DataParallel parallel(net, comm, {.shard = Shard::parameters});
    EXPECT_TRUE(parallel.parameters().empty());
    EXPECT_THROW(parallel.backward(mean(net(ones({2})))), AutogradError);
    return "";
  });
}

}  // namespace
}  // namespace tutti::test
