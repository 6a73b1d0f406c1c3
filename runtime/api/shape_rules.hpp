#pragma once

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.hpp"

/// Shapes of requests as tables: what each member is, and within which limits. AWS's clients check
/// neither enumerations nor patterns nor upper bounds, so the tables do. Only files of this room
/// include it.
namespace cox::api {

struct Rule;
using Shape = std::vector<Rule>;

enum class RuleType : std::uint8_t {
  text,     ///< limits count characters
  integer,  ///< limits are of the value
  number,   ///< limits are of the value, in ten-thousandths
  boolean,
  texts,    ///< a list; limits count members
  objects,  ///< a list; limits count members
  object,
  text_map,  ///< names to texts
};

struct Rule {
  const char* name = "";
  RuleType type = RuleType::text;
  bool required = false;
  std::int64_t least = 0;
  std::int64_t most = std::numeric_limits<std::int64_t>::max();
  std::vector<std::string_view> words = {};  ///< of text and texts: the only ones allowed
  const Shape* shape = nullptr;              ///< of object and objects
};

// Rules by what they are of.
[[nodiscard]] Rule text(const char* name, std::int64_t least = 0,
                        std::int64_t most = std::numeric_limits<std::int64_t>::max());
[[nodiscard]] Rule word(const char* name, std::vector<std::string_view> words);
[[nodiscard]] Rule integer(const char* name, std::int64_t least, std::int64_t most);
[[nodiscard]] Rule number(const char* name, double least, double most);
[[nodiscard]] Rule boolean(const char* name);
[[nodiscard]] Rule texts(const char* name, std::int64_t least = 0,
                         std::int64_t most = std::numeric_limits<std::int64_t>::max());
[[nodiscard]] Rule words(const char* name, std::vector<std::string_view> words);
[[nodiscard]] Rule objects(const char* name, const Shape& shape, std::int64_t least = 0,
                           std::int64_t most = std::numeric_limits<std::int64_t>::max());
[[nodiscard]] Rule object(const char* name, const Shape& shape);
[[nodiscard]] Rule text_map(const char* name);
[[nodiscard]] Rule required(Rule rule);

/// The members of the object that the shape knows, without nulls; the first fault goes into
/// `complaint` in AWS's manner. `place` stands before members' names: "containerProperties.". Pure.
[[nodiscard]] boost::json::object checked(const boost::json::object& object, const Shape& shape,
                                          const std::string& place,
                                          std::optional<Error>& complaint);

/// A member that checked() has let pass, or what stands for an absent one. Pure.
[[nodiscard]] std::string text_in(const boost::json::object& object, std::string_view name);
[[nodiscard]] std::optional<std::int64_t> time_in(const boost::json::object& object,
                                                  std::string_view name);
[[nodiscard]] std::int64_t integer_in(const boost::json::object& object, std::string_view name,
                                      std::int64_t absent);
[[nodiscard]] std::vector<std::string> texts_in(const boost::json::object& object,
                                                std::string_view name);
[[nodiscard]] std::map<std::string, std::string> map_in(const boost::json::object& object,
                                                        std::string_view name);

/// Letters, digits, '-' and '_', 1 to 128 of them, the first a letter or digit. Pure.
[[nodiscard]] bool is_name(std::string_view name);
/// Complains of members that AWS knows and this cluster has nothing for: to ignore them would not
/// be what was asked for.
void refuse_members(const boost::json::object& object, std::initializer_list<const char*> names,
                    std::optional<Error>& complaint);
/// Characters of UTF-8, as limits count them. Pure.
[[nodiscard]] std::int64_t length_of(std::string_view text);
/// Tags within AWS's limits: up to 50, names of 1 to 128 and texts of up to 256 characters. Pure.
void check_tags(const std::map<std::string, std::string>& tags, std::optional<Error>& complaint);
/// Keeps the first complaint.
void complain(std::optional<Error>& complaint, std::string text);

}  // namespace cox::api
