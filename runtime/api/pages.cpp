#include <algorithm>
#include <boost/json.hpp>

#include "runtime/api/shape_rules.hpp"
#include "runtime/api/shapes.hpp"
#include "runtime/base/text.hpp"

/// Pages of lists, and answers that several operations share. A token is the key of the last item
/// shown, in hexadecimal behind a mark.
namespace cox::api {

namespace json = boost::json;

namespace {

constexpr std::string_view kMark = "k1";
constexpr std::string_view kDigits = "0123456789abcdef";

std::optional<std::string> key_of_token(std::string_view token) {
  if (!token.starts_with(kMark) || token.size() % 2 != 0) return std::nullopt;
  std::string key;
  for (std::size_t i = kMark.size(); i < token.size(); i += 2) {
    const auto high = kDigits.find(token[i]);
    const auto low = kDigits.find(token[i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
    key += static_cast<char>(high * 16 + low);
  }
  if (key.empty()) return std::nullopt;
  return key;
}

}  // namespace

std::string token_for(std::string_view key) {
  std::string token(kMark);
  for (const char c : key) token += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return token;
}

Page read_page(const json::object& body, std::optional<Error>& complaint, std::int64_t most) {
  Page page;
  const auto results = integer_in(body, "maxResults", most);
  if (results < 1 || results > most) {
    complain(complaint, fmt::format("maxResults must be from 1 to {}, not {}", most, results));
  }
  page.results = static_cast<std::size_t>(std::max<std::int64_t>(results, 1));
  if (const auto token = text_in(body, "nextToken"); !token.empty()) {
    const auto key = key_of_token(token);
    if (!key) complain(complaint, "nextToken is not valid");
    page.after = key.value_or("");
  }
  return page;
}

Answer Pager::answer(std::string_view name) const {
  json::array list;
  std::string last;
  for (const auto& [key, item] : items_) {
    if (list.size() == page_.results) break;
    list.push_back(item);
    last = key;
  }
  json::object body;
  if (list.size() < items_.size()) body["nextToken"] = token_for(last);
  body[name] = std::move(list);
  return json_answer(body);
}

Answer refuse_name(std::string_view name) {
  return client_exception(
      fmt::format("Provided name {} is not supported pattern[a-zA-Z_0-9-]{{1,128}}", name));
}

std::optional<Answer> refuse_stranger(const Request& request) {
  if (request.owner) return std::nullopt;
  return Answer{
      403,
      json::serialize(json::object{
          {"message", fmt::format("User {} is not authorized to change this: it takes the "
                                  "owner of the cluster",
                                  request.user.name)}}),
      "AccessDeniedException"};
}

json::object tags_object(const std::map<std::string, std::string>& tags) {
  json::object shown;
  for (const auto& [key, value] : tags) shown[key] = value;
  return shown;
}

}  // namespace cox::api
