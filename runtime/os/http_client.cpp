#include <sys/socket.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>

#include "runtime/base/text.hpp"
#include "runtime/os/http.hpp"

namespace cox::os {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;

struct HttpClient::Impl {
  asio::io_context context{1};
  asio::generic::stream_protocol::socket socket{context};
  beast::flat_buffer buffer;
};

HttpClient::HttpClient(Fd socket) : impl_(std::make_unique<Impl>()) {
  sockaddr_storage where{};
  socklen_t size = sizeof where;
  error_code error;
  // Where this fails the socket stays closed, and the first call says so.
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&where), &size) != 0) return;
  impl_->socket.assign(asio::generic::stream_protocol(where.ss_family, 0), socket.get(), error);
  if (error) return;
  [[maybe_unused]] const int owned_by_socket = socket.release();
}
HttpClient::~HttpClient() = default;
HttpClient::HttpClient(HttpClient&&) noexcept = default;
HttpClient& HttpClient::operator=(HttpClient&&) noexcept = default;

Result<HttpResponse> HttpClient::call(const HttpRequest& request) {
  std::string body;
  auto response = stream(request, [&body](std::string_view bytes) {
    body += bytes;
    return true;
  });
  if (response && response->body.empty()) response->body = std::move(body);
  return response;
}

namespace {

std::string text_of(const HttpRequest& request) {
  auto text = fmt::format("{} {} HTTP/1.1\r\n", request.method, request.target);
  if (request.headers.count("host") == 0) text += "host: localhost\r\n";
  for (const auto& [name, value] : request.headers) {
    if (name != "content-length") text += fmt::format("{}: {}\r\n", name, value);
  }
  return text + fmt::format("content-length: {}\r\n\r\n", request.body.size());
}

HttpResponse head_of(const http::response_header<>& head) {
  HttpResponse response;
  response.status = static_cast<int>(head.result_int());
  response.content_type = std::string(head[http::field::content_type]);
  for (const auto& field : head) {
    response.headers[to_lower(field.name_string())] = std::string(field.value());
  }
  return response;
}

tl::unexpected<Error> broken(const error_code& error) {
  const bool ended = error == http::error::end_of_stream || error == http::error::partial_message;
  return fail(Errc::unavailable, "the connection to the cluster broke: {}",
              ended ? "it was closed by the other side" : error.message());
}

}  // namespace

Result<HttpResponse> HttpClient::stream(const HttpRequest& request,
                                        const std::function<bool(std::string_view)>& on_bytes) {
  auto& [context, socket, buffer] = *impl_;
  error_code error;
  const auto head = text_of(request);
  asio::write(socket, std::array{asio::buffer(head), asio::buffer(request.body)}, error);
  if (error && error != asio::error::broken_pipe && error != asio::error::connection_reset) {
    return broken(error);
  }
  // A server that takes no more of the request may have answered why.
  http::response_parser<http::buffer_body> parser;
  parser.body_limit(boost::none);
  parser.skip(request.method == "HEAD");
  http::read_header(socket, buffer, parser, error);
  if (error) return broken(error);
  auto response = head_of(parser.get());

  std::array<char, 64 * 1024> piece{};
  while (!parser.is_done()) {
    parser.get().body().data = piece.data();
    parser.get().body().size = piece.size();
    http::read_some(socket, buffer, parser, error);
    if (error == http::error::need_buffer || error == asio::error::interrupted) error = {};
    if (error) return broken(error);
    const std::string_view bytes(piece.data(), piece.size() - parser.get().body().size);
    if (bytes.empty()) continue;
    if (response.status != 200) {
      response.body += bytes;
    } else if (!on_bytes(bytes)) {
      socket.close(error);  // the rest of the answer is in the way of another
      return response;
    }
  }
  if (!parser.get().keep_alive()) socket.close(error);
  return response;
}

}  // namespace cox::os
