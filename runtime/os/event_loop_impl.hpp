#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "runtime/os/descriptor_watches.hpp"
#include "runtime/os/event_loop.hpp"

namespace cox::os {

/// Only files of this room that speak Asio include this.
struct EventLoop::Impl {
  ~Impl() {
    if (watched.is_open()) watched.release();  // it is the watches'
  }

  boost::asio::io_context context{1};
  DescriptorWatches watches;
  boost::asio::posix::stream_descriptor watched{context};
};

}  // namespace cox::os
