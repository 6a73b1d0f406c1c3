#pragma once

#include <fcntl.h>

#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <utility>

#include "runtime/os/log.hpp"

namespace cox::os {

/// Accepts one connection after the other until stopped; lives as long as it waits for one.
/// Only files of this room that speak Asio include this.
template <class Acceptor>
class AcceptLoop : public std::enable_shared_from_this<AcceptLoop<Acceptor>> {
 public:
  using Socket = typename Acceptor::protocol_type::socket;

  AcceptLoop(Acceptor acceptor, std::function<void(Socket)> handler)
      : acceptor_(std::move(acceptor)),
        pause_(acceptor_.get_executor()),
        handler_(std::move(handler)) {}

  void next() {
    acceptor_.async_accept([self = this->shared_from_this()](auto error, Socket socket) {
      if (!self->wanted_) return;
      if (error) return self->rest(error.message());
      // Not to be had from accept() here; programs are started from this process.
      ::fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC);
      self->handler_(std::move(socket));
      if (self->wanted_) self->next();
    });
  }

  void stop() {
    wanted_ = false;
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    pause_.cancel();
  }

 private:
  /// Most likely this process is out of descriptors. The connection stays in the queue, so that
  /// trying again at once would only burn time.
  void rest(const std::string& why) {
    constexpr auto kPause = std::chrono::milliseconds(100);
    if (!std::exchange(resting_, true)) log_error("connections cannot be accepted: {}", why);
    pause_.expires_after(kPause);
    pause_.async_wait([self = this->shared_from_this()](auto error) {
      if (error || !self->wanted_) return;
      self->resting_ = false;
      self->next();
    });
  }

  Acceptor acceptor_;
  boost::asio::steady_timer pause_;
  std::function<void(Socket)> handler_;
  bool wanted_ = true;
  bool resting_ = false;
};

}  // namespace cox::os
