#include "runtime/agent/step_plan_text.hpp"

#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <type_traits>

#include "runtime/agent/step_messages.hpp"

namespace cox::agent {

namespace {

// Of either way: a Writer takes constant values.

template <class Way, class Struct>
requires std::is_same_v<std::remove_const_t<Struct>, StepFile>
void each_member(Way& way, Struct& file) {
  way(file.name);
  way(file.mode);
  way(file.bytes);
}

template <class Way, class Struct>
requires std::is_same_v<std::remove_const_t<Struct>, RankProgram>
void each_member(Way& way, Struct& program) {
  way(program.argv);
  way(program.path);
  way(program.environment);
  way(program.directory);
}

template <class Way, class Struct>
requires std::is_same_v<std::remove_const_t<Struct>, DirectPlan>
void each_member(Way& way, Struct& direct) {
  way(direct.node_index);
  way(direct.node_of_rank);
  way(direct.hosts);
  way(direct.address);
  way(direct.hub_address);
  way(direct.fan_out);
  way(direct.name);
  way(direct.pmi_library);
  way(direct.session_directory);
  way(direct.cpus);
  way(direct.programs);
  way(direct.program_of_rank);
  way(direct.universe);
}

template <class Way, class Struct>
requires std::is_same_v<std::remove_const_t<Struct>, StepPlan>
void each_member(Way& way, Struct& plan) {
  way(plan.user.uid);
  way(plan.user.gid);
  way(plan.user.name);
  way(plan.change_user);
  way(plan.home);
  way(plan.directory);
  way(plan.hostfile);
  way(plan.nodes);
  way(plan.files);
  way(plan.command);
  way(plan.environment);
  way(plan.direct);
}

class Writer {
 public:
  void operator()(std::uint64_t number) {
    text_.append(reinterpret_cast<const char*>(&number), sizeof number);
  }
  void operator()(std::uint32_t number) { (*this)(std::uint64_t{number}); }
  void operator()(bool yes) { (*this)(std::uint64_t{yes ? 1U : 0U}); }
  void operator()(int number) { (*this)(static_cast<std::uint64_t>(std::int64_t{number})); }
  void operator()(const std::string& text) {
    (*this)(std::uint64_t{text.size()});
    text_ += text;
  }
  template <class Each>
  void operator()(const std::vector<Each>& all) {
    (*this)(std::uint64_t{all.size()});
    for (const auto& each : all) (*this)(each);
  }
  void operator()(const std::map<int, std::vector<int>>& all) {
    (*this)(std::uint64_t{all.size()});
    for (const auto& [number, each] : all) {
      (*this)(number);
      (*this)(each);
    }
  }
  template <class Member>
  void operator()(const std::optional<Member>& member) {
    (*this)(member.has_value());
    if (member) each_member(*this, *member);
  }
  template <class Struct>
  void operator()(const Struct& value) {
    each_member(*this, value);
  }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  void operator()(std::uint64_t& number) {
    number = 0;
    if (text_.size() < sizeof number) return give_up();
    std::memcpy(&number, text_.data(), sizeof number);
    text_.remove_prefix(sizeof number);
  }
  void operator()(std::uint32_t& number) {
    std::uint64_t read = 0;
    (*this)(read);
    number = static_cast<std::uint32_t>(read);
  }
  void operator()(bool& yes) {
    std::uint64_t read = 0;
    (*this)(read);
    yes = read != 0;
  }
  void operator()(int& number) {
    std::uint64_t read = 0;
    (*this)(read);
    number = static_cast<int>(static_cast<std::int64_t>(read));
  }
  void operator()(std::string& text) {
    std::uint64_t size = 0;
    (*this)(size);
    if (size > text_.size()) return give_up();
    text.assign(text_.substr(0, size));
    text_.remove_prefix(size);
  }
  template <class Each>
  void operator()(std::vector<Each>& all) {
    std::uint64_t count = 0;
    (*this)(count);
    while (good_ && count-- > 0) (*this)(all.emplace_back());
  }
  void operator()(std::map<int, std::vector<int>>& all) {
    std::uint64_t count = 0;
    (*this)(count);
    while (good_ && count-- > 0) {
      int number = 0;
      (*this)(number);
      (*this)(all[number]);
    }
  }
  template <class Member>
  void operator()(std::optional<Member>& member) {
    bool there = false;
    (*this)(there);
    if (there) each_member(*this, member.emplace());
  }
  template <class Struct>
  void operator()(Struct& value) {
    each_member(*this, value);
  }
  [[nodiscard]] bool is_whole() const { return good_ && text_.empty(); }

 private:
  void give_up() {
    good_ = false;
    text_ = {};
  }

  std::string_view text_;
  bool good_ = true;
};

}  // namespace

std::optional<std::string> text_of_plan(const StepPlan& plan) {
  if (plan.container) return std::nullopt;
  Writer writer;
  each_member(writer, plan);
  auto text = writer.take();
  if (text.size() > kStepTextMax) return std::nullopt;
  return text;
}

std::optional<StepPlan> plan_of_text(std::string_view text) {
  StepPlan plan;
  Reader reader(text);
  each_member(reader, plan);
  return reader.is_whole() ? std::optional(std::move(plan)) : std::nullopt;
}

}  // namespace cox::agent
