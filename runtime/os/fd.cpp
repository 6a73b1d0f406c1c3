#include "runtime/os/fd.hpp"

#include <unistd.h>

namespace cox::os {

void Fd::reset(int fd) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

}  // namespace cox::os
