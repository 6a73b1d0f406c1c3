#include "runtime/agent/step_plan_text.hpp"

#include <cstdint>
#include <cstring>

#include "runtime/agent/step_messages.hpp"

namespace cox::agent {

namespace {

class Writer {
 public:
  void operator()(std::uint64_t number) {
    text_.append(reinterpret_cast<const char*>(&number), sizeof number);
  }
  void operator()(std::uint32_t number) { (*this)(std::uint64_t{number}); }
  void operator()(bool yes) { (*this)(std::uint64_t{yes ? 1U : 0U}); }
  void operator()(const std::string& text) {
    (*this)(std::uint64_t{text.size()});
    text_ += text;
  }
  void operator()(const StepFile& file) {
    (*this)(file.name);
    (*this)(file.mode);
    (*this)(file.bytes);
  }
  template <class Each>
  void operator()(const std::vector<Each>& all) {
    (*this)(std::uint64_t{all.size()});
    for (const auto& each : all) (*this)(each);
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
  void operator()(std::string& text) {
    std::uint64_t size = 0;
    (*this)(size);
    if (size > text_.size()) return give_up();
    text.assign(text_.substr(0, size));
    text_.remove_prefix(size);
  }
  void operator()(StepFile& file) {
    (*this)(file.name);
    (*this)(file.mode);
    (*this)(file.bytes);
  }
  template <class Each>
  void operator()(std::vector<Each>& all) {
    std::uint64_t count = 0;
    (*this)(count);
    while (good_ && count-- > 0) (*this)(all.emplace_back());
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

template <class Way, class Plan>
void each_member(Way& way, Plan& plan) {
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
}

}  // namespace

std::optional<std::string> text_of_plan(const StepPlan& plan) {
  if (plan.direct || plan.container) return std::nullopt;
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
