/// \file
/// All of Tutti.
#pragma once

#include "tutti/autograd/arithmetic.h"
#include "tutti/autograd/grad_mode.h"
#include "tutti/autograd/index.h"
#include "tutti/autograd/math.h"
#include "tutti/autograd/matmul.h"
#include "tutti/autograd/reduce.h"
#include "tutti/autograd/shape.h"
#include "tutti/autograd/softmax.h"
#include "tutti/comm/communicator.h"
#include "tutti/comm/world.h"
#include "tutti/core/device.h"
#include "tutti/core/dtype.h"
#include "tutti/core/error.h"
#include "tutti/core/logging.h"
#include "tutti/core/version.h"
#include "tutti/tensor/creation.h"
#include "tutti/tensor/named_tensor.h"
#include "tutti/tensor/random.h"
#include "tutti/tensor/tensor.h"
