#pragma once

#include <boost/asio/io_context.hpp>

#include "runtime/os/event_loop.hpp"

namespace cox::os {

/// Only files of this room that speak Asio include this.
struct EventLoop::Impl {
  boost::asio::io_context context{1};
};

}  // namespace cox::os
