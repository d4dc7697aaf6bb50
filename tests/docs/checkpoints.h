// What the pieces of docs/checkpoints.md take for granted.
#pragma once

#include <iostream>

#include "tests/docs/data_parallel.h"
