// What a World tells of the cores of its machine.
#pragma once

namespace tutti {

// Cores that this process may use.
int usable_cores();

// As many ranks have the cores of this process: each takes its share of threads, unless the user said otherwise.
void share_cores(int ranks);

}  // namespace tutti
