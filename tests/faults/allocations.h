// The program's own allocations, of which one can be made to fail: operator new and mmap, which this program defines anew.
#pragma once

namespace tutti::test {

// From here on allocations of all threads are counted, and number `at`, from 1, fails; if it is `lasting`, so does every one
// after it.
void arm_allocations(int at, bool lasting = false);
// Returns how many allocations there were.
int disarm_allocations();

}  // namespace tutti::test
