// What cuBLASLt is told of row-major products. No GPU is needed.
#include "kernels/cuda/lt_plan.h"

#include <gtest/gtest.h>

#include <bit>

namespace tutti::kernels {
namespace {

using Kind = MatmulEpilogue::Kind;

void* at(std::uintptr_t address) { return std::bit_cast<void*>(address); }

// out [24, 16] = a [24, 40] b [40, 16]
MatmulArgs product() {
  return {.dtype = DType::bf16,
          .batch = 1,
          .m = 24,
          .n = 16,
          .k = 40,
          .a = at(0x1000),
          .lda = 40,
          .a_batch = 960,
          .a_transposed = false,
          .b = at(0x2000),
          .ldb = 16,
          .b_batch = 640,
          .b_transposed = false,
          .out = at(0x3000),
          .ldo = 16,
          .out_batch = 384};
}

TEST(LtPlan, OperandsChangePlaces) {
  const LtPlan plan = plan_product(product());
  EXPECT_EQ(plan.a, at(0x2000));
  EXPECT_EQ(plan.b, at(0x1000));
  EXPECT_EQ(plan.d, at(0x3000));
  EXPECT_EQ(plan.product.a, (LtMatrix{16, 40, 16, 0, false, 16}));
  EXPECT_EQ(plan.product.b, (LtMatrix{40, 24, 40, 0, false, 16}));
  EXPECT_EQ(plan.product.d, (LtMatrix{16, 24, 16, 0, false, 16}));
  EXPECT_EQ(plan.product.epilogue, LtEpilogue::none);
}

TEST(LtPlan, TransposedOperandsStaySo) {
  MatmulArgs p = product();
  p.b_transposed = true;  // [16, 40] as stored
  p.ldb = 40;
  EXPECT_EQ(plan_product(p).product.a, (LtMatrix{40, 16, 40, 0, true, 16}));
  EXPECT_FALSE(plan_product(p).product.b.transposed);
  p = product();
  p.a_transposed = true;  // [40, 24] as stored
  p.lda = 24;
  EXPECT_EQ(plan_product(p).product.b, (LtMatrix{24, 40, 24, 0, true, 16}));
  EXPECT_FALSE(plan_product(p).product.a.transposed);
}

TEST(LtPlan, BatchesKeepTheirDistance) {
  MatmulArgs p = product();
  p.batch = 3;
  p.b_batch = 0;
  const LtProduct made = plan_product(p).product;
  EXPECT_EQ(made.batch, 3);
  EXPECT_EQ(made.a.batch_stride, 0);
  EXPECT_EQ(made.b.batch_stride, 960);
  EXPECT_EQ(made.d.batch_stride, 384);
}

TEST(LtPlan, AlignmentIsThatOfEveryRow) {
  MatmulArgs p = product();
  p.a = at(0x1002);
  EXPECT_EQ(plan_product(p).product.b.alignment, 2u);
  p = product();
  p.lda = 42;
  EXPECT_EQ(plan_product(p).product.b.alignment, 4u);
  p.m = 1;  // of one row the distance says nothing
  EXPECT_EQ(plan_product(p).product.b.alignment, 16u);
  EXPECT_EQ(plan_product(p).product.b.ld, 40);
}

TEST(LtPlan, AlikeIsWhatDiffersInAddressesAlone) {
  MatmulArgs other = product();
  other.a = at(0x9000);
  EXPECT_EQ(plan_product(other).product, plan_product(product()).product);
  other.a = at(0x9008);
  EXPECT_NE(plan_product(other).product, plan_product(product()).product);
  other = product();
  other.tf32 = true;  // says nothing of bf16
  EXPECT_EQ(plan_product(other).product, plan_product(product()).product);
  other.dtype = DType::f16;
  EXPECT_NE(plan_product(other).product, plan_product(product()).product);
}

TEST(LtPlan, EpiloguesAndWhatTheyReadAndWrite) {
  const auto planned = [](const MatmulEpilogue& e) { return plan_product(product(), e); };
  const LtPlan biased = planned({.kind = Kind::bias, .bias = at(0x4000)});
  EXPECT_EQ(biased.product.epilogue, LtEpilogue::bias);
  EXPECT_EQ(biased.vector, at(0x4000));
  const LtPlan kept = planned({.kind = Kind::gelu, .bias = at(0x4000), .pre_gelu = at(0x5000)});
  EXPECT_EQ(kept.product.epilogue, LtEpilogue::gelu_aux_bias);
  EXPECT_EQ(kept.aux, at(0x5000));
  EXPECT_EQ(kept.product.aux_ld, 16);
  EXPECT_EQ(planned({.kind = Kind::gelu}).product.epilogue, LtEpilogue::gelu);
  EXPECT_EQ(planned({.kind = Kind::gelu, .bias = at(0x4000)}).product.epilogue, LtEpilogue::gelu_bias);
  EXPECT_EQ(planned({.kind = Kind::gelu, .pre_gelu = at(0x5000)}).product.epilogue, LtEpilogue::gelu_aux);
  EXPECT_EQ(planned({.kind = Kind::gelu_grad, .pre_gelu = at(0x5000)}).product.epilogue,
            LtEpilogue::gelu_grad);
  const LtPlan sums = planned({.kind = Kind::row_sums, .row_sums = at(0x6000)});
  EXPECT_EQ(sums.product.epilogue, LtEpilogue::column_sums_b);
  EXPECT_EQ(sums.vector, at(0x6000));
}

TEST(LtPlan, WhatIsNotAskedFor) {
  const MatmulEpilogue bias{.kind = Kind::bias, .bias = at(0x4000)};
  const MatmulEpilogue gelu{.kind = Kind::gelu, .pre_gelu = at(0x5000)};
  const MatmulEpilogue sums{.kind = Kind::row_sums, .row_sums = at(0x6000)};
  for (const auto& e : {bias, gelu, sums}) EXPECT_TRUE(can_fuse(product(), e));
  MatmulArgs p = product();
  p.dtype = DType::f32;
  EXPECT_TRUE(can_fuse(p, bias));
  EXPECT_FALSE(can_fuse(p, gelu));
  EXPECT_FALSE(can_fuse(p, sums));
  p.tf32 = true;
  EXPECT_TRUE(can_fuse(p, gelu));
  EXPECT_FALSE(can_fuse(p, sums));
  p = product();
  p.n = 17;  // rows of pre_gelu are not a multiple of 8
  EXPECT_TRUE(can_fuse(p, bias));
  EXPECT_FALSE(can_fuse(p, gelu));
  p = product();
  p.m = 23;
  EXPECT_TRUE(can_fuse(p, gelu));
  EXPECT_FALSE(can_fuse(p, sums));
  EXPECT_FALSE(can_fuse(product(), {.kind = Kind::bias, .bias = at(0x4002)}));
  EXPECT_FALSE(can_fuse(product(), {.kind = Kind::gelu_grad, .pre_gelu = at(0x5008)}));
  for (auto change : {+[](MatmulArgs& q) { q.batch = 2; }, +[](MatmulArgs& q) { q.beta = 1; },
                      +[](MatmulArgs& q) { q.k = 0; }, +[](MatmulArgs& q) { q.m = 0; }}) {
    p = product();
    change(p);
    EXPECT_FALSE(can_fuse(p, bias));
  }
}

}  // namespace
}  // namespace tutti::kernels
