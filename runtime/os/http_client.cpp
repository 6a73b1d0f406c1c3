#include <sys/socket.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

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
  ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&where), &size);
  error_code error;
  impl_->socket.assign(asio::generic::stream_protocol(where.ss_family, 0), socket.release(), error);
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

http::request<http::string_body> to_message(const HttpRequest& request) {
  http::request<http::string_body> message(http::string_to_verb(request.method), request.target,
                                           11);
  message.set(http::field::host, "localhost");
  for (const auto& [name, value] : request.headers) message.set(name, value);
  message.body() = request.body;
  message.prepare_payload();
  return message;
}

tl::unexpected<Error> broken(const error_code& error) {
  return fail(Errc::unavailable, "the connection to the cluster broke: {}", error.message());
}

}  // namespace

Result<HttpResponse> HttpClient::stream(const HttpRequest& request,
                                        const std::function<bool(std::string_view)>& on_bytes) {
  error_code error;
  http::write(impl_->socket, to_message(request), error);
  if (error) return broken(error);

  http::response_parser<http::buffer_body> parser;
  parser.body_limit(boost::none);
  http::read_header(impl_->socket, impl_->buffer, parser, error);
  if (error) return broken(error);
  HttpResponse response;
  response.status = static_cast<int>(parser.get().result_int());
  response.content_type = std::string(parser.get()[http::field::content_type]);
  for (const auto& field : parser.get()) {
    response.headers[to_lower(field.name_string())] = std::string(field.value());
  }

  std::array<char, 64 * 1024> piece{};
  while (!parser.is_done()) {
    parser.get().body().data = piece.data();
    parser.get().body().size = piece.size();
    http::read_some(impl_->socket, impl_->buffer, parser, error);
    if (error == http::error::need_buffer) error = {};
    if (error) return broken(error);
    const std::string_view bytes(piece.data(), piece.size() - parser.get().body().size);
    if (bytes.empty()) continue;
    if (response.status != 200) {
      response.body += bytes;
    } else if (!on_bytes(bytes)) {
      return response;
    }
  }
  return response;
}

}  // namespace cox::os
