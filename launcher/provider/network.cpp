#include "launcher/provider/network.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <thread>

#include "launcher/provider/address_plan.hpp"
#include "runtime/os/files.hpp"

namespace cox::provider {
namespace {

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Socket = std::unique_ptr<nl_sock, Freed<nl_socket_free>>;
using Link = std::unique_ptr<rtnl_link, Freed<rtnl_link_put>>;
using Veth = std::unique_ptr<rtnl_link, Freed<rtnl_link_veth_release>>;
using NetAddress = std::unique_ptr<nl_addr, Freed<nl_addr_put>>;
using LinkAddress = std::unique_ptr<rtnl_addr, Freed<rtnl_addr_put>>;
using Route = std::unique_ptr<rtnl_route, Freed<rtnl_route_put>>;

constexpr const char* kBridge = "br0";

Result<void> done(int code, const std::string& what) {
  if (code >= 0) return {};
  return fail(Errc::unavailable, "cannot {}: {}", what, nl_geterror(code));
}

/// A socket to configure the network that the calling thread is in now, wherever it goes later.
Result<Socket> open_control() {
  Socket socket(nl_socket_alloc());
  if (const auto ok = done(nl_connect(socket.get(), NETLINK_ROUTE), "open a netlink socket"); !ok) {
    return fail(ok.error());
  }
  return socket;
}

NetAddress parse_address(const std::string& text) {
  nl_addr* address = nullptr;
  if (nl_addr_parse(text.c_str(), AF_INET, &address) != 0) return nullptr;
  return NetAddress(address);
}

Result<int> index_of(nl_sock* socket, const std::string& name) {
  rtnl_link* found = nullptr;
  const int code = rtnl_link_get_kernel(socket, 0, name.c_str(), &found);
  if (const auto ok = done(code, "find the interface " + name); !ok) return fail(ok.error());
  const Link link(found);
  return rtnl_link_get_ifindex(found);
}

Result<void> add_address(nl_sock* socket, int index, const std::string& text) {
  const LinkAddress address(rtnl_addr_alloc());
  const NetAddress local = parse_address(text);
  rtnl_addr_set_ifindex(address.get(), index);
  int code = rtnl_addr_set_local(address.get(), local.get());
  if (code >= 0) code = rtnl_addr_add(socket, address.get(), 0);
  return done(code, "set the address " + text);
}

Result<void> bring_up(nl_sock* socket, int index, const std::string& name) {
  const Link link(rtnl_link_alloc());
  const Link change(rtnl_link_alloc());
  rtnl_link_set_ifindex(link.get(), index);
  rtnl_link_set_flags(change.get(), IFF_UP);
  return done(rtnl_link_change(socket, link.get(), change.get(), 0), "bring up " + name);
}

Result<void> add_default_route(nl_sock* socket, int index, const std::string& gateway) {
  const Route route(rtnl_route_alloc());
  const NetAddress all = parse_address("0.0.0.0/0");
  const NetAddress by = parse_address(gateway);
  rtnl_route_set_family(route.get(), AF_INET);
  rtnl_route_set_dst(route.get(), all.get());
  rtnl_nexthop* hop = rtnl_route_nh_alloc();
  rtnl_route_nh_set_ifindex(hop, index);
  rtnl_route_nh_set_gateway(hop, by.get());
  rtnl_route_add_nexthop(route.get(), hop);  // the route owns the hop now
  return done(rtnl_route_add(socket, route.get(), NLM_F_CREATE), "set the default route");
}

/// Settings that are good to have; a machine that refuses one works without it.
void set_sysctl(const std::string& path, const std::string& value) {
  const os::Fd file(::open(("/proc/sys/net/" + path).c_str(), O_WRONLY | O_CLOEXEC));
  if (file) (void)!::write(file.get(), value.data(), value.size());
}

void turn_ipv6_off() {
  set_sysctl("ipv6/conf/all/disable_ipv6", "1");
  set_sysctl("ipv6/conf/default/disable_ipv6", "1");
}

void set_mac(rtnl_link* link, const std::string& text) {
  nl_addr* mac = nullptr;
  if (nl_addr_parse(text.c_str(), AF_LLC, &mac) != 0) return;
  const NetAddress owned(mac);
  rtnl_link_set_addr(link, mac);
}

/// Runs on a thread that has entered the new network.
Result<void> make_bridge() {
  auto socket = open_control();
  if (!socket) return fail(socket.error());
  turn_ipv6_off();
  // The bridge's own network leads nowhere: forwarding makes it say so at once ("no route to
  // host"), where a node would otherwise wait for an answer from outside.
  set_sysctl("ipv4/ip_forward", "1");
  set_sysctl("ipv4/icmp_ratelimit", "0");
  const Link bridge(rtnl_link_alloc());
  rtnl_link_set_name(bridge.get(), kBridge);
  rtnl_link_set_type(bridge.get(), "bridge");
  rtnl_link_set_flags(bridge.get(), IFF_UP);
  // Without one of its own it takes the smallest of its ports': that changes with the nodes, and
  // what is sent to the old one is lost until the sender asks again.
  set_mac(bridge.get(), mac_of(kHeadAddress));
  const auto made = done(rtnl_link_add(socket->get(), bridge.get(), NLM_F_CREATE | NLM_F_EXCL),
                         "make the cluster's bridge");
  if (!made) return made;
  const auto index = index_of(socket->get(), kBridge);
  if (!index) return fail(index.error());
  const auto address = fmt::format("{}/{}", kHeadAddress, kPrefixLength);
  if (const auto set = add_address(socket->get(), *index, address); !set) return set;
  const auto loopback = index_of(socket->get(), "lo");
  if (!loopback) return fail(loopback.error());
  return bring_up(socket->get(), *loopback, "lo");
}

Result<os::Fd> new_bridge_network() {
  if (::unshare(CLONE_NEWNET) != 0) {
    return fail(os::errno_error(errno, "cannot make a network namespace"));
  }
  os::Fd network(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!network) return fail(os::errno_error(errno, "/proc/thread-self/ns/net"));
  if (const auto made = make_bridge(); !made) return fail(made.error());
  return network;
}

/// The kernel takes an ended node's network apart in its own time. Until then its end of the bridge
/// may still be there, and answer for the address.
void delete_stale(nl_sock* socket, const std::string& name) {
  const auto index = index_of(socket, name);
  if (!index) return;
  const Link link(rtnl_link_alloc());
  rtnl_link_set_ifindex(link.get(), *index);
  (void)rtnl_link_delete(socket, link.get());
}

/// One request makes both ends, up, in their networks and on the bridge.
Result<void> add_veth(nl_sock* bridge_side, int bridge_index, int node_network,
                      const NodeLink& link) {
  const Veth veth(rtnl_link_veth_alloc());
  rtnl_link_set_name(veth.get(), link.link_name.c_str());
  rtnl_link_set_master(veth.get(), bridge_index);
  rtnl_link_set_flags(veth.get(), IFF_UP);
  rtnl_link* peer = rtnl_link_veth_get_peer(veth.get());
  rtnl_link_set_name(peer, "eth0");
  rtnl_link_set_ns_fd(peer, node_network);
  set_mac(peer, link.mac);
  int code = rtnl_link_add(bridge_side, veth.get(), NLM_F_CREATE | NLM_F_EXCL);
  if (code == -NLE_EXIST) {
    delete_stale(bridge_side, link.link_name);
    code = rtnl_link_add(bridge_side, veth.get(), NLM_F_CREATE | NLM_F_EXCL);
  }
  rtnl_link_put(peer);
  return done(code, "connect eth0 to the bridge");
}

Result<void> configure_node(const NodeLink& link) {
  auto socket = open_control();
  if (!socket) return fail(socket.error());
  const auto loopback = index_of(socket->get(), "lo");
  if (!loopback) return fail(loopback.error());
  const auto eth0 = index_of(socket->get(), "eth0");
  if (!eth0) return fail(eth0.error());
  const std::string address = fmt::format("{}/{}", link.address, kPrefixLength);
  const std::string metadata = fmt::format("{}/32", kMetadataAddress);
  return bring_up(socket->get(), *loopback, "lo")
      .and_then([&] { return add_address(socket->get(), *loopback, metadata); })
      .and_then([&] { return add_address(socket->get(), *eth0, address); })
      .and_then([&] { return bring_up(socket->get(), *eth0, "eth0"); })
      .and_then([&] { return add_default_route(socket->get(), *eth0, kHeadAddress); });
}

}  // namespace

Result<os::Fd> make_bridge_network() {
  Result<os::Fd> made = fail(Errc::internal, "not made");
  std::thread([&made] { made = new_bridge_network(); }).join();
  return made;
}

Result<void> enter_node_network(const os::Fd& bridge_network, const NodeLink& link) {
  if (::setns(bridge_network.get(), CLONE_NEWNET) != 0) {
    return fail(os::errno_error(errno, "cannot enter the bridge's network"));
  }
  auto bridge_side = open_control();
  if (!bridge_side) return fail(bridge_side.error());
  const auto bridge = index_of(bridge_side->get(), kBridge);
  if (!bridge) return fail(bridge.error());
  if (::unshare(CLONE_NEWNET) != 0) {
    return fail(os::errno_error(errno, "cannot make a network namespace"));
  }
  const os::Fd own(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!own) return fail(os::errno_error(errno, "/proc/self/ns/net"));
  turn_ipv6_off();
  const std::string group = std::to_string(::getgid());
  set_sysctl("ipv4/ping_group_range", ::getuid() == 0 ? "0 2147483647" : group + " " + group);
  const auto connected = add_veth(bridge_side->get(), *bridge, own.get(), link);
  if (!connected) return connected;
  return configure_node(link);
}

}  // namespace cox::provider
