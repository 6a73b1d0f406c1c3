#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <utility>

#include "runtime/agent/direct_run.hpp"
#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/frame_link.hpp"

/// How the steps of a job's nodes meet: the main node's hub, and its other end on each other node,
/// straight or by nodes between.
namespace cox::agent {

namespace {

constexpr std::size_t kGreetingBytesMax = 256;
constexpr std::size_t kFrameBytesMax = 256u << 20;  // keys of all ranks
constexpr std::ptrdiff_t kStrangersMax = 64;
constexpr int kKilled = 137;

}  // namespace

Result<wire::Meeting> DirectRun::open() {
  if (::mkdir(direct_.session_directory.c_str(), 0700) != 0) {
    return fail(os::errno_error(errno, "cannot make " + direct_.session_directory));
  }
  if (!tree_.has_children(direct_.node_index)) return wire::Meeting{};
  auto listener = os::listen_tcp(direct_.address, 0);
  if (!listener) return fail(listener.error());
  listener_ = std::move(*listener);
  if (!hub_) return wire::Meeting{os::local_port(listener_), ""};
  auto secret = random_word();
  if (!secret) return fail(secret.error());
  secret_ = std::move(*secret);
  return wire::Meeting{os::local_port(listener_), secret_};
}

// The hub, and nodes between it and others.

void DirectRun::accept() {
  os::Fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  const auto nonce = socket ? random_word() : Result<std::string>(std::string());
  if (!socket || !nonce) return;
  const auto is_stranger = [](const auto& guest) { return guest->link.fd() >= 0 && !guest->node; };
  if (std::count_if(guests_.begin(), guests_.end(), is_stranger) >= kStrangersMax) {
    // The one that has kept its proof back for the longest.
    const auto oldest = std::find_if(guests_.begin(), guests_.end(), is_stranger);
    (*oldest)->link = HubLink(os::Fd());
  }
  guests_.push_back(std::make_unique<Guest>(Guest{HubLink(std::move(socket)), *nonce, {}}));
  guests_.back()->link.send('N', *nonce);
}

void DirectRun::read_guest(Guest& guest) {
  if (guest.link.fd() < 0) return;
  guest.link.write();
  const bool alive = guest.link.receive();
  // Behind the greeting there may be more already, and larger.
  while (auto frame = guest.link.next(guest.node ? kFrameBytesMax : kGreetingBytesMax)) {
    if (guest.node) {
      hear(*guest.node, *frame);
    } else if (frame->kind == 'H') {
      greet(guest, frame->text);
    }
  }
  if (alive && !guest.link.is_broken()) return;
  const auto node = guest.node;
  guest.link = HubLink(os::Fd());
  if (node) hear(*node, {'L', ""});
}

/// Who it is, by its proof. A stranger is not answered.
void DirectRun::greet(Guest& guest, const std::string& text) {
  const auto words = split(text, ' ');
  const auto index = words.size() == 3 ? to_int(words[0]) : std::nullopt;
  const auto nodes = static_cast<std::int64_t>(direct_.hosts.size());
  if (!index || *index < 1 || *index >= nodes) return;
  const int node = static_cast<int>(*index);
  if (tree_.parent(node) != direct_.node_index) return;
  const bool known = std::any_of(guests_.begin(), guests_.end(),
                                 [&](const auto& other) { return other->node == node; });
  if (known || words[2] != proof_of(secret_, "node", node, guest.nonce, words[1])) return;
  guest.node = node;
  guest.link.send('W', proof_of(secret_, "hub", node, guest.nonce, words[1]));
  if (over_) guest.link.send('O', fmt::format("{} {}", over_->exit_code, over_->reason));
}

/// A guest's own word, or one that it hands on.
void DirectRun::hear(int guest, const HubLink::Frame& frame) {
  const auto blank = frame.text.find(' ');
  const bool handed_on =
      frame.kind == 'U' && blank != std::string::npos && blank + 1 < frame.text.size();
  const auto from = handed_on ? to_int(std::string_view(frame.text).substr(0, blank)) : guest;
  const auto nodes = static_cast<std::int64_t>(direct_.hosts.size());
  if (!from || *from < 0 || *from >= nodes) return;
  const int node = static_cast<int>(*from);
  if (!tree_.is_within(node, guest)) return;
  if (!hub_) {
    const auto word = handed_on ? frame.text : fmt::format("{} {}{}", node, frame.kind, frame.text);
    return link_->send('U', word);
  }
  decide(node,
         handed_on ? HubLink::Frame{frame.text[blank + 1], frame.text.substr(blank + 2)} : frame);
}

void DirectRun::tell_guests(char kind, std::string_view text) {
  for (const auto& guest : guests_) {
    if (guest->node) guest->link.send(kind, text);
  }
}

void DirectRun::decide(int node, const HubLink::Frame& frame) {
  const auto blank = std::min(frame.text.find(' '), frame.text.size());
  const auto number = to_int(std::string_view(frame.text).substr(0, blank));
  const int value = static_cast<int>(number.value_or(1));
  if (frame.kind == 'K') entered(node, frame.text);
  if (frame.kind == 'G') hub_->rank_gone(node, value);
  if (frame.kind == 'D') hub_->done(node, value);
  for (int each = node; frame.kind == 'L' && each < tree_.nodes; ++each) {
    if (!tree_.is_within(each, node)) continue;
    gone_.insert(each);
    hub_->lost(each);
  }
  if (frame.kind == 'F') {
    const auto reason = frame.text.substr(std::min(blank + 1, frame.text.size()));
    hub_->failed({value != 0 ? value : 1, reason});
  }
  if (heard_) heard_(node, frame);
  settle();
}

void DirectRun::entered(int node, const std::string& keys) {
  const auto all = hub_->entered(node, keys);
  if (!all) return;
  tell_guests('K', *all);
  send_replies(server_.released(*all));
}

void DirectRun::settle() {
  if (hub_->is_over()) end(hub_->end());
}

void DirectRun::contribute(const std::string& keys) {
  if (!hub_) return link_->send('K', keys);
  entered(0, keys);
  settle();
}

// Another node's end of it.

void DirectRun::connect(const wire::Meeting& meeting) {
  if (hub_) return;
  secret_ = meeting.secret;
  auto socket = begin_connect(direct_.hub_address, meeting.port);
  auto nonce = random_word();
  const bool usable = socket && nonce;
  link_.emplace(usable ? std::move(*socket) : os::Fd(), true);
  if (!usable) {
    return end({kKilled, (socket ? nonce.error() : socket.error()).message});
  }
  own_nonce_ = std::move(*nonce);
}

void DirectRun::read_hub() {
  const bool alive = link_->receive();
  while (auto frame = link_->next(kFrameBytesMax)) hear_hub(*frame);
  link_->write();
  if (alive && !link_->is_broken()) return;
  link_.emplace(os::Fd());
  // The main node's end decides what becomes of the job; here all is done, or there is no hub.
  end(done_told_ ? mpi::RankFailure{first_code_, ""}
                 : mpi::RankFailure{kKilled, "the main node was lost"});
}

void DirectRun::hear_hub(const HubLink::Frame& frame) {
  if (frame.kind == 'N' && hub_nonce_.empty()) {
    hub_nonce_ = frame.text;
    const auto proof = proof_of(secret_, "node", direct_.node_index, hub_nonce_, own_nonce_);
    link_->greet('H', fmt::format("{} {} {}", direct_.node_index, own_nonce_, proof));
  } else if (frame.kind == 'W') {
    welcome_ = frame.text == proof_of(secret_, "hub", direct_.node_index, hub_nonce_, own_nonce_);
    if (!welcome_) end({kKilled, "the main node's step did not know the job's secret"});
  } else if (welcome_ && frame.kind == 'K') {
    tell_guests('K', frame.text);
    send_replies(server_.released(frame.text));
  } else if (welcome_ && frame.kind == 'O') {
    const auto blank = std::min(frame.text.find(' '), frame.text.size());
    const auto code = to_int(std::string_view(frame.text).substr(0, blank));
    end({static_cast<int>(code.value_or(1)),
         frame.text.substr(std::min(blank + 1, frame.text.size()))});
  } else if (welcome_ && frame.kind == 'V') {
    const auto blank = frame.text.find(' ');
    const auto node = to_int(std::string_view(frame.text).substr(0, blank));
    if (blank == std::string::npos || blank + 1 >= frame.text.size() || !node) return;
    hand_down(static_cast<int>(*node), frame.text[blank + 1],
              std::string_view(frame.text).substr(blank + 2));
  } else if (welcome_ && heard_) {
    heard_(0, frame);
  }
}

// What others than the launch have to say.

void DirectRun::send_frame(int node, char kind, std::string_view text) {
  if (link_) return link_->send(kind, text);
  hand_down(node, kind, text);
}

void DirectRun::hand_down(int node, char kind, std::string_view text) {
  for (const auto& guest : guests_) {
    if (!guest->node || guest->link.fd() < 0 || !tree_.is_within(node, *guest->node)) continue;
    if (*guest->node == node) return guest->link.send(kind, text);
    return guest->link.send('V', fmt::format("{} {}{}", node, kind, text));
  }
}

void DirectRun::give_up(const mpi::RankFailure& how) {
  launched_ = true;  // nothing is started any more
  if (!hub_) {
    if (link_ && !over_) link_->send('F', fmt::format("{} {}", how.exit_code, how.reason));
    end(how);
    return finish_if_empty();
  }
  hub_->failed(how);
  settle();
}

}  // namespace cox::agent
