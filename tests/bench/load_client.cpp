#include "tests/bench/load_client.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

#include "runtime/os/files.hpp"
#include "runtime/os/frame_link.hpp"

namespace cox::bench {

namespace {

[[noreturn]] void give_up(std::string_view why) {
  fmt::print(stderr, "head_load: {}\n", why);
  std::exit(EXIT_FAILURE);
}

std::string request(std::string_view method, std::string_view target, std::string_view body) {
  return fmt::format("{} {} HTTP/1.1\r\nHost: cox\r\nContent-Length: {}\r\n\r\n{}", method, target,
                     body.size(), body);
}

}  // namespace

LoadClient::LoadClient(const std::string& socket, int connections) {
  for (int i = 0; i < connections; ++i) {
    auto connected = os::connect_unix(socket);
    if (!connected) give_up(connected.error().message);
    connections_.push_back({std::move(*connected), {}, 0});
  }
}

void LoadClient::send(const Connection& connection, const std::string& request) {
  if (const auto sent = os::write_all(connection.socket.get(), request); !sent) {
    give_up(sent.error().message);
  }
}

bool LoadClient::receive(Connection& connection) {
  char buffer[65536];
  const auto got = ::recv(connection.socket.get(), buffer, sizeof buffer, 0);
  if (got <= 0) give_up(got == 0 ? "the head has closed a connection" : std::strerror(errno));
  connection.received.append(buffer, static_cast<std::size_t>(got));
  const auto& text = connection.received;
  const auto head_end = text.find("\r\n\r\n");
  if (head_end == std::string::npos) return false;
  constexpr std::string_view kLength = "Content-Length: ";
  const auto length_at = text.find(kLength);
  if (length_at == std::string::npos || length_at > head_end) give_up("an answer without length");
  const auto length = std::strtoul(text.c_str() + length_at + kLength.size(), nullptr, 10);
  connection.answer_bytes = head_end + 4 + length;
  return text.size() >= connection.answer_bytes;
}

std::string LoadClient::take_body(Connection& connection) {
  const auto whole = connection.received.substr(0, connection.answer_bytes);
  connection.received.erase(0, connection.answer_bytes);
  if (!whole.starts_with("HTTP/1.1 200 ")) give_up(whole);
  return whole.substr(whole.find("\r\n\r\n") + 4);
}

std::vector<double> LoadClient::post(const std::string& target, std::uint64_t count,
                                     const std::function<std::string(std::uint64_t)>& body) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  std::vector<double> answered;
  answered.reserve(count);
  std::uint64_t sent = 0;
  std::vector<pollfd> waiting;
  for (auto& connection : connections_) {
    const bool asks = sent < count;
    if (asks) send(connection, request("POST", target, body(sent++)));
    waiting.push_back({connection.socket.get(), static_cast<short>(asks ? POLLIN : 0), 0});
  }
  while (answered.size() < count) {
    if (::poll(waiting.data(), waiting.size(), 60'000) <= 0) {
      give_up(fmt::format("no answer within 60 s, {} of {} are there", answered.size(), count));
    }
    for (std::size_t i = 0; i < waiting.size(); ++i) {
      if (waiting[i].revents == 0) continue;
      auto& connection = connections_[i];
      if (!receive(connection)) continue;
      (void)take_body(connection);
      answered.push_back(std::chrono::duration<double>(Clock::now() - start).count());
      if (sent < count) {
        send(connection, request("POST", target, body(sent++)));
      } else {
        waiting[i].events = 0;
      }
    }
  }
  return answered;
}

std::string LoadClient::get(const std::string& target) {
  send(connections_.front(), request("GET", target, ""));
  while (!receive(connections_.front())) continue;
  return take_body(connections_.front());
}

std::string LoadClient::post(const std::string& target, const std::string& body) {
  send(connections_.front(), request("POST", target, body));
  while (!receive(connections_.front())) continue;
  return take_body(connections_.front());
}

}  // namespace cox::bench
