// The program's own I/O calls, of which one can be made to fail: functions of libc that this program defines anew.
#pragma once

#include <string>

namespace tutti::test {

enum class Fault { none, kill, stop, eio, enospc, edquot, eagain, eintr, emfile, erofs, estale, half };

const char* name_of(Fault fault);
// What the system says about it.
std::string reason_of(Fault fault);

// From here on calls are counted, and number `at`, from 1, meets `fault`: it is not done, or in half. If it is `lasting`, so
// does every call after it.
void arm(Fault fault, int at, bool lasting = false);
// Returns how many calls there were.
int disarm();
// The function that met it first; "" where none did.
std::string struck();

// Whether fsync does something. Without, it is a bug for others to find.
void set_sync(bool on);
// Whether the file system can exchange two names, as not all can.
void set_exchange(bool on);

}  // namespace tutti::test
